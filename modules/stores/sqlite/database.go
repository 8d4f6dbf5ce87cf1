package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	// busyTimeout is how long a statement waits for another process's lock.
	busyTimeout = 5 * time.Second
	// readers bounds the connections that read at once. Reads are short and rarely many: a Keyring stands before us.
	readers = 4
	// cacheSize is how much of the file a connection keeps, in KiB, of 2,000 by default: the system keeps the file in its own memory anyway,
	// once for all connections, and a key that was read is in the Keyring's.
	cacheSize = "256"
)

// database is an open file. SQLite admits one writer at a time, so writes queue in Go, where waiting costs
// nothing, and not on the file's lock.
type database struct {
	write *sql.DB // one connection; its transactions are immediate
	read  *sql.DB // refuses to write

	keyByHash, keyByID, firstPage, pageAfter *sql.Stmt // on read
}

func openDatabase(ctx context.Context, path string) (*database, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, err
	}

	db := new(database)
	if err := db.open(ctx, path); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

func (db *database) open(ctx context.Context, path string) error {
	timeout := strconv.FormatInt(busyTimeout.Milliseconds(), 10)
	write, err := sqlite.NewConnector(fileURI(path, url.Values{
		"_busy_timeout": {timeout},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
	}))
	if err != nil {
		return err
	}
	read, err := sqlite.NewConnector(fileURI(path, url.Values{
		"_busy_timeout": {timeout},
		"_query_only":   {"on"},
		"_pragma":       {"cache_size(-" + cacheSize + ")"},
	}))
	if err != nil {
		return err
	}

	db.write = sql.OpenDB(writeConnector{write})
	db.write.SetMaxOpenConns(1)
	if err := retryBusy(ctx, func() error { return prepareFile(ctx, db.write) }); err != nil {
		return err
	}

	db.read = sql.OpenDB(read)
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	for text, statement := range map[string]**sql.Stmt{
		sqlrow.SelectKeyByHash: &db.keyByHash,
		sqlrow.SelectKeyByID:   &db.keyByID,
		sqlrow.SelectFirstPage: &db.firstPage,
		sqlrow.SelectPageAfter: &db.pageAfter,
	} {
		if *statement, err = db.read.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("preparing statement: %w", err)
		}
	}
	return nil
}

// writeConnector sets what cannot be set by option: a connection opens without regard to a context, and this pragma
// reads the file, so it would wait for another process's lock for longer than the caller does.
type writeConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c writeConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{
		// With WAL, NORMAL keeps the file sound through a loss of power; the last changes before it may be undone.
		`PRAGMA synchronous = normal`,
		// What is pruned, prompts among it, does not stay readable in the file.
		`PRAGMA secure_delete = on`,
		`PRAGMA cache_size = -` + cacheSize,
	} {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, pragma, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// close closes the readers first, so that the writer is the last to leave and can fold the -wal file in.
func (db *database) close() error {
	var errs []error
	for _, handle := range []*sql.DB{db.read, db.write} {
		if handle != nil {
			errs = append(errs, handle.Close())
		}
	}
	return errors.Join(errs...)
}

// transact runs do in a write transaction, which is kept only if do returns no error.
func (db *database) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// execute runs one of many short statements of a transaction, which holds the lock already. It looks at the context before, not
// meanwhile: for that the driver starts a goroutine with each statement, thousands of them faster than they end.
func execute(ctx context.Context, statement *sql.Stmt, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := statement.ExecContext(context.WithoutCancel(ctx), args...)
	if ended := ctx.Err(); err != nil && ended != nil {
		return ended // with it ended the transaction
	}
	return err
}

// prepareFile brings a file to the current schema and to WAL mode. A file that it refuses stays as it was.
func prepareFile(ctx context.Context, write *sql.DB) error {
	version, err := schemaVersion(ctx, write)
	if err != nil {
		return err
	}
	// WAL mode is a property of the file, so the readers need not ask for it. It cannot be changed within
	// the transaction that migrates.
	var mode string
	if err := write.QueryRowContext(ctx, `PRAGMA journal_mode = wal`).Scan(&mode); err != nil {
		return fmt.Errorf("turning WAL mode on: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("turning WAL mode on: file stays in mode %q", mode)
	}
	if version == latestVersion {
		return nil
	}
	return migrate(ctx, write)
}

// creating keeps stores of this process from opening a file that another one is about to close: closing any
// descriptor of a file drops every POSIX lock that the process holds on it, SQLite's included.
var creating sync.Mutex

// createFile makes an empty file that only its owner may read, where there is none: SQLite would make it readable
// by everybody. It gives the -wal and -shm files the mode of the main one.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	creating.Lock()
	defer creating.Unlock()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// fileURI names an absolute path as https://sqlite.org/uri.html has it, so that no character of it is taken for
// an option. Mode rw keeps SQLite from making a file with its own permissions.
func fileURI(path string, options url.Values) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a Windows drive letter
	}
	options.Set("mode", "rw")
	uri := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}
	return uri.String()
}
