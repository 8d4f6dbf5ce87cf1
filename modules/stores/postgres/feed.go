package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// keyChannel carries the ids of keys that changed, and teamChannel the names of teams. Neither's own name needs quotes.
	keyChannel  = "llm_gateway_keys"
	teamChannel = "llm_gateway_teams"
	// heartbeat is how long the feed stays silent before it asks whether the server is still there. A server that
	// lost its power closes no connection.
	heartbeat = time.Second

	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	// leaveTimeout bounds a polite goodbye.
	leaveTimeout = time.Second
)

// Changes implements gateway.KeyFeed over LISTEN, on a connection beside the pool. A change arrives as soon as it is
// committed. A server that closes the connection is noticed at once, one that falls silent within
// heartbeat and connectTimeout; and one that is back is found within lastPause.
func (s *Store) Changes(ctx context.Context, to gateway.KeyListener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(errClosed) })()

	pause, silent := firstPause, false
	for {
		err := s.listen(ctx, to, func() {
			if silent {
				s.renew()
			}
			pause, silent = firstPause, false
			s.reachable.Store(true)
			to.Reset()
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !silent {
			silent = true
			s.reachable.Store(false)
			to.Lost(err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)): // gateways that lost one server do not return in step
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, lastPause)
	}
}

// renew drops the pool's connections: whatever ended the feed's may have ended theirs, so that the next lookups would fail.
func (s *Store) renew() {
	if pool := s.opened.Load(); pool != nil {
		pool.Reset()
	}
}

// listen reports changes over one connection until it breaks.
func (s *Store) listen(ctx context.Context, to gateway.KeyListener, begun func()) error {
	conn, err := pgx.ConnectConfig(ctx, s.config.ConnConfig.Copy())
	if err != nil {
		return fmt.Errorf("connecting to listen for changes of keys: %w", err)
	}
	defer leave(ctx, conn)
	if _, err := conn.Exec(ctx, `LISTEN `+keyChannel+`; LISTEN `+teamChannel); err != nil {
		return fmt.Errorf("listening for changes of keys: %w", err)
	}
	begun()
	for {
		news, err := next(ctx, conn)
		if err != nil {
			return fmt.Errorf("waiting for changes of keys: %w", err)
		}
		if news.Channel == teamChannel {
			to.Team(news.Payload)
		} else {
			to.Key(news.Payload)
		}
	}
}

// next waits for the next change as long as the server answers.
func next(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	for {
		news, err := wait(ctx, conn)
		if err == nil {
			return news, nil
		}
		if ctx.Err() != nil || !pgconn.Timeout(err) {
			return nil, err
		}
		if err := ping(ctx, conn); err != nil {
			return nil, err
		}
	}
}

func wait(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	return conn.WaitForNotification(ctx)
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

func leave(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	conn.Close(ctx) //nolint:errcheck // it is of no use any more
}
