package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	// Two gateways that rotate one key take turns: each must see the other's new secret.
	lockKey = `SELECT 1 FROM keys WHERE id = $1 FOR NO KEY UPDATE`

	// A slower gateway may report an earlier use last. Rows are locked in order of their ids, so that gateways that
	// report the same keys wait for each other and never in a circle.
	touchKeys = `UPDATE keys k SET last_used = used.at FROM (
			SELECT stored.id, reported.at FROM unnest($1::text[], $2::bigint[]) AS reported (id, at)
			JOIN keys stored ON stored.id = reported.id WHERE stored.last_used < reported.at
			ORDER BY stored.id FOR NO KEY UPDATE OF stored
		) used WHERE k.id = used.id AND k.last_used < used.at`

	// Who looks whether there are keys waits for those who are creating one, and they for it.
	lockKeys = `LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE`

	// touchBatch bounds what one statement does, for its timeout's sake.
	touchBatch = 5000
)

// CreateKey stores a new key, with the retiring secrets that it may already have. Windows of its limits must be
// whole seconds.
func (s *Store) CreateKey(ctx context.Context, key *gateway.Key, hash gateway.KeyHash) error {
	return s.create(ctx, key, hash, func(context.Context, pgx.Tx) error { return nil })
}

// CreateFirstKey stores a new key where there is none.
func (s *Store) CreateFirstKey(ctx context.Context, key *gateway.Key, hash gateway.KeyHash) error {
	return s.create(ctx, key, hash, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockKeys); err != nil {
			return err
		}
		var count int
		err := tx.QueryRow(ctx, sqlrow.CountKeys).Scan(&count)
		if err == nil && count > 0 {
			return gateway.ErrKeyExists
		}
		return err
	})
}

// create stores a new key, in the transaction in which allowed returned no error.
func (s *Store) create(ctx context.Context, key *gateway.Key, hash gateway.KeyHash, allowed func(context.Context, pgx.Tx) error) error {
	row, err := sqlrow.KeyArgs(key)
	if err != nil {
		return err
	}
	return s.change(ctx, "creating key", key.ID, func(ctx context.Context, tx pgx.Tx) error {
		if err := allowed(ctx, tx); err != nil {
			return err
		}
		if err := insert(ctx, tx, sqlrow.InsertKey, row...); err != nil {
			return err
		}
		if err := insert(ctx, tx, sqlrow.InsertSecret, hash[:], key.ID, nil); err != nil {
			return err
		}
		for _, former := range key.Retiring {
			if err := insert(ctx, tx, sqlrow.InsertSecret, former.Hash[:], key.ID, sqlrow.Seconds(former.Until)); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateKey applies a change and returns the key as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateKey(ctx context.Context, id string, change gateway.KeyChange) (key *gateway.Key, err error) {
	args, err := sqlrow.ChangeArgs(id, change)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, "updating key", id, func(ctx context.Context, tx pgx.Tx) error {
		if err := affectOne(ctx, tx, sqlrow.UpdateKey, args...); err != nil {
			return err
		}
		key, err = oneKey(ctx, tx, sqlrow.SelectKeyByID, s.now().Unix(), id)
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
		if err := affectOne(ctx, tx, sqlrow.RetireSecret, id, sqlrow.Seconds(formerUntil)); err != nil {
			return err
		}
		// Pruning comes last, so that a secret just retired cannot return as the new one.
		if err := insert(ctx, tx, sqlrow.InsertSecret, hash[:], id, nil); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlrow.PruneSecrets, id, now); err != nil {
			return err
		}
		key, err = oneKey(ctx, tx, sqlrow.SelectKeyByID, now, id)
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
		return affectOne(ctx, tx, sqlrow.DeleteKey, id)
	})
}

// TouchKeys records when keys were last used. A time earlier than the one stored changes nothing, and neither does
// an id that is not stored. No other gateway is told.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	ids := slices.Collect(maps.Keys(used))
	at := make([]int64, len(ids))
	for i, id := range ids {
		at[i] = sqlrow.Seconds(used[id])
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
	return s.tell(ctx, doing, keyChannel, id, do)
}

// tell is change for whatever goes by a name, which it tells over a channel.
func (s *Store) tell(ctx context.Context, doing, channel, name string, do func(context.Context, pgx.Tx) error) error {
	return s.call(ctx, doing, func(ctx context.Context, pool *pgxpool.Pool) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := do(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, name)
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
