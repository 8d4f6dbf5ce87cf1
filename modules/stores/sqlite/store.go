// Package sqlite keeps gateway keys, usage, the request log and records of files in one SQLite file: durable, no server to
// run, no cgo.
//
// Several processes may share the file on one machine. It is kept in WAL mode, so readers never wait for a
// writer, and two more files (-wal and -shm) lie beside it while it is open; network file systems cannot do that.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

var errClosed = errors.New("key store is closed")

// Store is a gateway.KeyStore and a gateway.Ledger in a SQLite file. Make one with New.
type Store struct {
	path string
	now  func() time.Time

	opened atomic.Pointer[database]
	// turn is held while opening or closing. It is a channel so that waiting for it honours a context.
	turn   chan struct{}
	closed bool // guarded by turn
}

// New makes a store over the file at path and touches nothing. The first use opens the file, creating it and its
// folder where they are missing, readable by their owner only. A use that could not open it returns the reason,
// and the next one tries again.
func New(path string) *Store {
	return &Store{path: path, now: time.Now, turn: make(chan struct{}, 1)}
}

// Path returns the path that the store was made with.
func (s *Store) Path() string { return s.path }

// Ping reads from the file, opening it if need be.
func (s *Store) Ping(ctx context.Context) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	var answer bool
	if err := db.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM settings)`).Scan(&answer); err != nil {
		return fmt.Errorf("pinging database: %w", err)
	}
	return nil
}

// Close waits for calls in progress and closes the file. Every later use is an error; closing again is not.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.closed = true
	db := s.opened.Swap(nil)
	if db == nil {
		return nil
	}
	if err := db.close(); err != nil {
		return fmt.Errorf("closing database: %w", err)
	}
	return nil
}

// database returns the open database, opening it on first use.
func (s *Store) database(ctx context.Context) (*database, error) {
	if db := s.opened.Load(); db != nil {
		return db, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for database to open: %w", ctx.Err())
	}
	if s.closed {
		return nil, errClosed
	}
	if db := s.opened.Load(); db != nil {
		return db, nil
	}
	db, err := openDatabase(ctx, s.path)
	if err != nil {
		return nil, fmt.Errorf("opening database %s: %w", s.path, err)
	}
	s.opened.Store(db)
	return db, nil
}

// annotate says what was being done when an error came up. The errors that the contract names pass as they are.
func annotate(doing string, err error) error {
	if sqlrow.Answered(err) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Interface guards
var (
	_ gateway.KeyStore  = (*Store)(nil)
	_ gateway.FileStore = (*Store)(nil)
)
