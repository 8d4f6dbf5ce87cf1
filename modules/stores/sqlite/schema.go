package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// schemaFiles holds one file per schema version, in order of their names. A file that was released never changes.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

var (
	migrations    = readMigrations()
	latestVersion = len(migrations)
)

func readMigrations() []string {
	names, err := fs.Glob(schemaFiles, "schema/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	texts := make([]string, len(names))
	for i, name := range names {
		text, err := schemaFiles.ReadFile(name)
		if err != nil {
			panic(err) // the file is part of the program
		}
		texts[i] = string(text)
	}
	return texts
}

// schemaVersion reads how many migrations a file has been through. A file from a later release is an error:
// what that release expects of its tables cannot be known here.
func schemaVersion(ctx context.Context, from interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (int, error) {
	var version int
	if err := from.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("reading schema version: %w", err)
	}
	if version < 0 || version > latestVersion {
		return 0, fmt.Errorf("schema version %d is not known to this release, which knows up to %d", version, latestVersion)
	}
	return version, nil
}

// migrate runs the migrations that a file lacks, all or none. Another process may have been faster: the version
// is read again under the write lock.
func migrate(ctx context.Context, write *sql.DB) error {
	tx, err := write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrating schema: %w", err)
	}
	defer tx.Rollback() // does nothing after a commit
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	for ; version < latestVersion; version++ {
		statements := fmt.Sprintf("%s\nPRAGMA user_version = %d;", migrations[version], version+1)
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return fmt.Errorf("migrating schema to version %d: %w", version+1, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrating schema: %w", err)
	}
	return nil
}
