package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	insertKey = `INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`

	insertSecret = `INSERT INTO secrets (hash, key_id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	// Two gateways that rotate one key take turns: each must see the other's new secret.
	lockKey = `SELECT 1 FROM keys WHERE id = $1 FOR NO KEY UPDATE`

	updateKey = `UPDATE keys SET name = coalesce($2, name), team = coalesce($3, team), limits = coalesce($4, limits),
		models = coalesce($5, models), active = coalesce($6, active), expires = coalesce($7, expires) WHERE id = $1`

	retireSecret = `UPDATE secrets SET until = $2 WHERE key_id = $1 AND until IS NULL`

	pruneSecrets = `DELETE FROM secrets WHERE key_id = $1 AND until <= $2`

	deleteKey = `DELETE FROM keys WHERE id = $1`

	// A slower gateway may report an earlier use last. Rows are locked in order of their ids, so that gateways that
	// report the same keys wait for each other and never in a circle.
	touchKeys = `UPDATE keys k SET last_used = used.at FROM (
			SELECT stored.id, reported.at FROM unnest($1::text[], $2::bigint[]) AS reported (id, at)
			JOIN keys stored ON stored.id = reported.id WHERE stored.last_used < reported.at
			ORDER BY stored.id FOR NO KEY UPDATE OF stored
		) used WHERE k.id = used.id AND k.last_used < used.at`

	// touchBatch bounds what one statement does, for its timeout's sake.
	touchBatch = 5000
)

// CreateKey stores a new key, with the retiring secrets that it may already have. Windows of its limits must be
// whole seconds.
func (s *Store) CreateKey(ctx context.Context, key *gateway.Key, hash gateway.KeyHash) error {
	limits, err := encodeLimits(key.Limits)
	if err != nil {
		return err
	}
	models, err := encodeModels(key.Models)
	if err != nil {
		return err
	}
	return s.change(ctx, "creating key", key.ID, func(ctx context.Context, tx pgx.Tx) error {
		if err := insert(ctx, tx, insertKey, key.ID, key.Name, key.Team, limits, models, key.Active,
			seconds(key.Created), seconds(key.Expires), seconds(key.LastUsed)); err != nil {
			return err
		}
		if err := insert(ctx, tx, insertSecret, hash[:], key.ID, nil); err != nil {
			return err
		}
		for _, former := range key.Retiring {
			if err := insert(ctx, tx, insertSecret, former.Hash[:], key.ID, seconds(former.Until)); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateKey applies a change and returns the key as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateKey(ctx context.Context, id string, change gateway.KeyChange) (key *gateway.Key, err error) {
	var limits, models, expires any // nil keeps what is stored
	if change.Limits != nil {
		if limits, err = encodeLimits(*change.Limits); err != nil {
			return nil, err
		}
	}
	if change.Models != nil {
		if models, err = encodeModels(*change.Models); err != nil {
			return nil, err
		}
	}
	if change.Expires != nil {
		expires = seconds(*change.Expires)
	}
	err = s.change(ctx, "updating key", id, func(ctx context.Context, tx pgx.Tx) error {
		if err := affectOne(ctx, tx, updateKey, id, change.Name, change.Team, limits, models, change.Active, expires); err != nil {
			return err
		}
		key, err = oneKey(ctx, tx, selectKeyByID, s.now().Unix(), id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// RotateKey gives a key a new secret and lets the former one work until the given time, to the second. Retiring
// secrets of the key whose time is over are forgotten.
func (s *Store) RotateKey(ctx context.Context, id string, hash gateway.KeyHash, formerUntil time.Time) (key *gateway.Key, err error) {
	now := s.now().Unix()
	err = s.change(ctx, "rotating key", id, func(ctx context.Context, tx pgx.Tx) error {
		if err := affectOne(ctx, tx, lockKey, id); err != nil {
			return err
		}
		if err := affectOne(ctx, tx, retireSecret, id, seconds(formerUntil)); err != nil {
			return err
		}
		// Pruning comes last, so that a secret just retired cannot return as the new one.
		if err := insert(ctx, tx, insertSecret, hash[:], id, nil); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, pruneSecrets, id, now); err != nil {
			return err
		}
		key, err = oneKey(ctx, tx, selectKeyByID, now, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// DeleteKey removes a key and, by the schema's cascade, all of its secrets.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	return s.change(ctx, "deleting key", id, func(ctx context.Context, tx pgx.Tx) error {
		return affectOne(ctx, tx, deleteKey, id)
	})
}

// TouchKeys records when keys were last used. A time earlier than the one stored changes nothing, and neither does
// an id that is not stored. No other gateway is told.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	ids := slices.Collect(maps.Keys(used))
	at := make([]int64, len(ids))
	for i, id := range ids {
		at[i] = seconds(used[id])
	}
	for from := 0; from == 0 || from < len(ids); from += touchBatch {
		to := min(from+touchBatch, len(ids))
		if err := s.call(ctx, "recording use of keys", func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := pool.Exec(ctx, touchKeys, ids[from:to], at[from:to])
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// change changes one key in a transaction, which is kept only if do returns no error, and which tells every
// gateway as it is committed.
func (s *Store) change(ctx context.Context, doing, id string, do func(context.Context, pgx.Tx) error) error {
	return s.call(ctx, doing, func(ctx context.Context, pool *pgxpool.Pool) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := do(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, id)
			return err
		})
	})
}

// insert runs a statement that adds a row unless its id or hash is taken.
func insert(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	return affect(ctx, tx, gateway.ErrKeyExists, query, args)
}

// affectOne runs a statement about one key that must be there.
func affectOne(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	return affect(ctx, tx, gateway.ErrKeyNotFound, query, args)
}

// affect runs a statement and returns idle where it met no row.
func affect(ctx context.Context, tx pgx.Tx, idle error, query string, args []any) error {
	result, err := tx.Exec(ctx, query, args...)
	if err == nil && result.RowsAffected() == 0 {
		return idle
	}
	return err
}
