package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	// exportPage bounds the keys that an export holds in memory.
	exportPage = 500

	selectCurrentHash = `SELECT hash FROM secrets WHERE key_id = $1 AND until IS NULL`
)

// Export calls yield with every key in order of creation, its retiring secrets with time left included, and with
// the hash of its current secret. All of it is as it was when the export began. An error of yield ends it and is
// returned.
func (s *Store) Export(ctx context.Context, yield func(key *gateway.Key, current gateway.KeyHash) error) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	tx, err := db.read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("exporting keys: %w", err)
	}
	defer tx.Rollback() // there is nothing to keep
	now := s.now().Unix()
	keys, err := allKeys(tx.QueryContext(ctx, sqlrow.SelectFirstPage, now, exportPage))
	for err == nil && len(keys) > 0 {
		for _, key := range keys {
			current, err := currentHash(ctx, tx, key.ID)
			if err != nil {
				return err
			}
			if err := yield(key, current); err != nil {
				return err
			}
		}
		keys, err = allKeys(tx.QueryContext(ctx, sqlrow.SelectPageAfter, now, exportPage, keys[len(keys)-1].ID))
	}
	return annotate("exporting keys", err)
}

func currentHash(ctx context.Context, tx *sql.Tx, id string) (gateway.KeyHash, error) {
	var stored []byte
	err := tx.QueryRowContext(ctx, selectCurrentHash, id).Scan(&stored)
	if err == nil {
		var hash gateway.KeyHash
		if hash, err = sqlrow.DecodeHash(stored); err == nil {
			return hash, nil
		}
	}
	return gateway.KeyHash{}, fmt.Errorf("reading the current secret of key %s: %w", id, err)
}
