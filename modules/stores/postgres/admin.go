package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// adminHash is the setting that holds the SHA-256 of the admin credential that a gateway made.
const adminHash = "admin_hash"

// AdminHash returns the hash of the admin credential, and false where there is none.
func (s *Store) AdminHash(ctx context.Context) (hash gateway.KeyHash, found bool, err error) {
	err = s.call(ctx, "reading admin hash", func(ctx context.Context, pool *pgxpool.Pool) error {
		var stored []byte
		err := pool.QueryRow(ctx, `SELECT value FROM settings WHERE name = $1`, adminHash).Scan(&stored)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		hash, err = sqlrow.DecodeHash(stored)
		found = err == nil
		return err
	})
	return hash, found, err
}

// SetAdminHash stores the hash where none is stored yet, and tells whether it did.
func (s *Store) SetAdminHash(ctx context.Context, hash gateway.KeyHash) (set bool, err error) {
	err = s.call(ctx, "storing admin hash", func(ctx context.Context, pool *pgxpool.Pool) error {
		result, err := pool.Exec(ctx,
			`INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, adminHash, hash[:])
		set = result.RowsAffected() == 1
		return err
	})
	return set, err
}
