package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// A slower gateway may report an earlier use last.
const touchKey = `UPDATE keys SET last_used = $2 WHERE id = $1 AND last_used < $2`

// CreateKey stores a new key, with the retiring secrets that it may already have. Windows of its limits must be
// whole seconds.
func (s *Store) CreateKey(ctx context.Context, key *gateway.Key, hash gateway.KeyHash) error {
	return s.create(ctx, key, hash, func(*sql.Tx) error { return nil })
}

// CreateFirstKey stores a new key where there is none. Nobody else writes between the look and the creation.
func (s *Store) CreateFirstKey(ctx context.Context, key *gateway.Key, hash gateway.KeyHash) error {
	return s.create(ctx, key, hash, func(tx *sql.Tx) error {
		var count int
		err := tx.QueryRowContext(ctx, sqlrow.CountKeys).Scan(&count)
		if err == nil && count > 0 {
			return gateway.ErrKeyExists
		}
		return err
	})
}

// create stores a new key, in the transaction in which allowed returned no error.
func (s *Store) create(ctx context.Context, key *gateway.Key, hash gateway.KeyHash, allowed func(*sql.Tx) error) error {
	row, err := sqlrow.KeyArgs(key)
	if err != nil {
		return err
	}
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	return annotate("creating key", db.transact(ctx, func(tx *sql.Tx) error {
		if err := allowed(tx); err != nil {
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
	}))
}

// UpdateKey applies a change and returns the key as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateKey(ctx context.Context, id string, change gateway.KeyChange) (*gateway.Key, error) {
	args, err := sqlrow.ChangeArgs(id, change)
	if err != nil {
		return nil, err
	}
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	var key *gateway.Key
	err = db.transact(ctx, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, sqlrow.UpdateKey, args...); err != nil {
			return err
		}
		key, err = oneKey(tx.QueryContext(ctx, sqlrow.SelectKeyByID, s.now().Unix(), id))
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
		if err := changeOne(ctx, tx, sqlrow.RetireSecret, id, sqlrow.Seconds(formerUntil)); err != nil {
			return err
		}
		// Pruning comes last, so that a secret just retired cannot return as the new one.
		if err := insert(ctx, tx, sqlrow.InsertSecret, hash[:], id, nil); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, sqlrow.PruneSecrets, id, now); err != nil {
			return err
		}
		key, err = oneKey(tx.QueryContext(ctx, sqlrow.SelectKeyByID, now, id))
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
	return annotate("deleting key", changeOne(ctx, db.write, sqlrow.DeleteKey, id))
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
			if err := execute(ctx, touch, id, sqlrow.Seconds(at)); err != nil {
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
