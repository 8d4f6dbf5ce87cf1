package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// versionTable keeps goose's history of the schema.
	versionTable = "llm_gateway_schema"
	// migrationLockID is the advisory lock of whoever migrates: "llmgatew" in ASCII.
	migrationLockID = 0x6c6c6d6761746577
	lockPause       = 50 * time.Millisecond
	// undefinedTable is the SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
	undefinedTable = "42P01"
)

// schemaFiles holds one file per schema version, in order of their names. A file that was released never changes.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

var latestVersion = countMigrations()

func countMigrations() int64 {
	names, err := fs.Glob(schemaFiles, "schema/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return int64(len(names))
}

// prepareSchema brings the schema up to date. Where it is already, as at nearly every start, it takes no lock.
func prepareSchema(ctx context.Context, pool *pgxpool.Pool) error {
	version, err := schemaVersion(ctx, pool)
	if err != nil || version == latestVersion {
		return err
	}
	if err := migrate(ctx, pool); err != nil {
		return fmt.Errorf("migrating schema to version %d: %w", latestVersion, err)
	}
	// A gateway of a later release may have been faster.
	_, err = schemaVersion(ctx, pool)
	return err
}

// schemaVersion reads how many migrations the schema has been through. A schema from a later release is an error:
// what that release expects of its tables cannot be known here.
func schemaVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var version int64
	err := pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable+` WHERE is_applied`).Scan(&version)
	if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) && refusal.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading schema version: %w", err)
	}
	if version > latestVersion {
		return 0, fmt.Errorf("schema version %d is not known to this release, which knows up to %d", version, latestVersion)
	}
	return version, nil
}

func migrate(ctx context.Context, pool *pgxpool.Pool) (err error) {
	// A connection of its own, since a migration may take longer than a call may.
	config := pool.Config().ConnConfig
	delete(config.RuntimeParams, "statement_timeout")
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	steps, err := migrations(db)
	if err != nil {
		return err
	}
	_, err = steps.Up(ctx)
	return err
}

func migrations(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(versionTable),
		goose.WithSessionLocker(migrationLock{}), goose.WithDisableGlobalRegistry(true))
}

// migrationLock lets one gateway migrate at a time. It asks again and again, since a session that waits within a
// statement would hold up a migration that builds an index concurrently.
type migrationLock struct{}

// SessionLock implements lock.SessionLocker.
func (migrationLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var got bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, int64(migrationLockID)).Scan(&got); err != nil || got {
			return err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SessionUnlock implements lock.SessionLocker.
func (migrationLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, int64(migrationLockID))
	return err
}
