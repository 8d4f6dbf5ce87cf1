package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// adminHash is the setting that holds the SHA-256 of the admin credential that the gateway made.
const adminHash = "admin_hash"

// AdminHash returns the hash of the admin credential, and false where there is none.
func (s *Store) AdminHash(ctx context.Context) (gateway.KeyHash, bool, error) {
	db, err := s.database(ctx)
	if err != nil {
		return gateway.KeyHash{}, false, err
	}
	var stored []byte
	err = db.read.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = $1`, adminHash).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return gateway.KeyHash{}, false, nil
	}
	var hash gateway.KeyHash
	if err == nil {
		hash, err = sqlrow.DecodeHash(stored)
	}
	if err != nil {
		return gateway.KeyHash{}, false, fmt.Errorf("reading admin hash: %w", err)
	}
	return hash, true, nil
}

// SetAdminHash stores the hash where none is stored yet, and tells whether it did.
func (s *Store) SetAdminHash(ctx context.Context, hash gateway.KeyHash) (bool, error) {
	db, err := s.database(ctx)
	if err != nil {
		return false, err
	}
	result, err := db.write.ExecContext(ctx,
		`INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, adminHash, hash[:])
	if err != nil {
		return false, fmt.Errorf("storing admin hash: %w", err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("storing admin hash: %w", err)
	}
	return changed == 1, nil
}
