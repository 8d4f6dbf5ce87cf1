// Package postgres keeps gateway keys, usage, the request log and records of files in PostgreSQL, so that any number of
// gateways share them and hear of each other's changes of keys.
//
// A gateway holds sessions: it listens, prepares statements and takes an advisory lock. Connect it to the server
// itself, or to a pooler that gives each connection a session of its own. The tables live in the first schema of
// the connection's search path.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	// callTimeout bounds one call on an open store, waiting for a connection included.
	callTimeout = 5 * time.Second
	// openTimeout bounds one attempt to open, which may have a schema to migrate.
	openTimeout = time.Minute
)

var errClosed = errors.New("key store is closed")

// Store is a gateway.KeyStore in a PostgreSQL database. Make one with New.
type Store struct {
	config *pgxpool.Config
	now    func() time.Time

	life context.Context // ends as the store is closed
	end  context.CancelFunc

	opened  atomic.Pointer[pgxpool.Pool]
	opening singleflight.Group
	turn    sync.Mutex // held while opening or closing

	reachable atomic.Bool // as the connection that listens knows it
}

// New makes a store of the database that a connection URL names and touches no network. The first use connects and
// brings the schema up to date. A use that could not returns the reason, and the next one tries again.
//
// Beside the settings of libpq, the URL may carry those of pgxpool, such as pool_max_conns. The error says nothing
// of the URL, which may hold a password.
func New(url string) (*Store, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	return &Store{config: config, now: time.Now, life: life, end: end}, nil
}

// Ping asks the server for an answer, opening the store if need be.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "pinging database", func(ctx context.Context, pool *pgxpool.Pool) error { return pool.Ping(ctx) })
}

// Close waits for calls in progress, which callTimeout bounds, and closes all connections. Every later use is an
// error; closing again is not.
func (s *Store) Close() error {
	s.end()
	s.turn.Lock()
	defer s.turn.Unlock()
	if pool := s.opened.Swap(nil); pool != nil {
		pool.Close()
	}
	return nil
}

// call runs do on the open database and says what was being done when an error came up. The errors that the
// contract names pass as they are.
func (s *Store) call(ctx context.Context, doing string, do func(context.Context, *pgxpool.Pool) error) error {
	pool, err := s.database(ctx)
	if err != nil {
		return fmt.Errorf("opening PostgreSQL database: %w", classify(err))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = do(ctx, pool)
	if sqlrow.Answered(err) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, classify(err))
}

// database returns the open database, opening it on first use. Callers share an attempt, so that a server that
// does not answer is waited for once and not once for each of them; none of them can end it for the others.
func (s *Store) database(ctx context.Context) (*pgxpool.Pool, error) {
	if pool := s.opened.Load(); pool != nil {
		return pool, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	attempt := s.opening.DoChan("", func() (any, error) { return s.open() })
	select {
	case result := <-attempt:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*pgxpool.Pool), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Store) open() (*pgxpool.Pool, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.life.Err() != nil {
		return nil, errClosed
	}
	if pool := s.opened.Load(); pool != nil {
		return pool, nil
	}
	ctx, cancel := context.WithTimeout(s.life, openTimeout)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	s.opened.Store(pool)
	return pool, nil
}

// Interface guards
var (
	_ gateway.KeyStore  = (*Store)(nil)
	_ gateway.KeyFeed   = (*Store)(nil)
	_ gateway.FileStore = (*Store)(nil)
)
