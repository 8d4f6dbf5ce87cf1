package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	insertKey = `INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`

	insertSecret = `INSERT INTO secrets (hash, key_id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	updateKey = `UPDATE keys SET name = coalesce($2, name), team = coalesce($3, team), limits = coalesce($4, limits),
		models = coalesce($5, models), active = coalesce($6, active), expires = coalesce($7, expires) WHERE id = $1`

	retireSecret = `UPDATE secrets SET until = $2 WHERE key_id = $1 AND until IS NULL`

	pruneSecrets = `DELETE FROM secrets WHERE key_id = $1 AND until <= $2`

	// A slower gateway may report an earlier use last.
	touchKey = `UPDATE keys SET last_used = $2 WHERE id = $1 AND last_used < $2`
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
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	return annotate("creating key", db.transact(ctx, func(tx *sql.Tx) error {
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
	}))
}

// UpdateKey applies a change and returns the key as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateKey(ctx context.Context, id string, change gateway.KeyChange) (*gateway.Key, error) {
	var limits, models, expires any // nil keeps what is stored
	var err error
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
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	var key *gateway.Key
	err = db.transact(ctx, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, updateKey, id, change.Name, change.Team, limits, models, change.Active, expires); err != nil {
			return err
		}
		key, err = oneKey(tx.QueryContext(ctx, selectKeyByID, s.now().Unix(), id))
		return err
	})
	if err != nil {
		return nil, annotate("updating key", err)
	}
	return key, nil
}

// RotateKey gives a key a new secret and lets the former one work until the given time, to the second. Retiring
// secrets of the key whose time is over are forgotten.
func (s *Store) RotateKey(ctx context.Context, id string, hash gateway.KeyHash, formerUntil time.Time) (*gateway.Key, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now().Unix()
	var key *gateway.Key
	err = db.transact(ctx, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, retireSecret, id, seconds(formerUntil)); err != nil {
			return err
		}
		// Pruning comes last, so that a secret just retired cannot return as the new one.
		if err := insert(ctx, tx, insertSecret, hash[:], id, nil); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, pruneSecrets, id, now); err != nil {
			return err
		}
		key, err = oneKey(tx.QueryContext(ctx, selectKeyByID, now, id))
		return err
	})
	if err != nil {
		return nil, annotate("rotating key", err)
	}
	return key, nil
}

// DeleteKey removes a key and, by the schema's cascade, all of its secrets.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	return annotate("deleting key", changeOne(ctx, db.write, `DELETE FROM keys WHERE id = $1`, id))
}

// TouchKeys records in one transaction when keys were last used. A time earlier than the one stored changes
// nothing, and neither does an id that is not stored.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	if len(used) == 0 {
		return nil
	}
	return annotate("recording use of keys", db.transact(ctx, func(tx *sql.Tx) error {
		touch, err := tx.PrepareContext(ctx, touchKey)
		if err != nil {
			return err
		}
		defer touch.Close()
		for id, at := range used {
			if _, err := touch.ExecContext(ctx, id, seconds(at)); err != nil {
				return err
			}
		}
		return nil
	}))
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// insert runs a statement that adds a row unless its id or hash is taken.
func insert(ctx context.Context, on execer, query string, args ...any) error {
	return change(ctx, on, gateway.ErrKeyExists, query, args)
}

// changeOne runs a statement about one key that must be there.
func changeOne(ctx context.Context, on execer, query string, args ...any) error {
	return change(ctx, on, gateway.ErrKeyNotFound, query, args)
}

// change runs a statement and returns idle where it changed no row.
func change(ctx context.Context, on execer, idle error, query string, args []any) error {
	result, err := on.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if changed == 0 {
		return idle
	}
	return nil
}
