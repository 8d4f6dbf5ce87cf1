package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// invalidations is the channel on which Redis tells of changes to a client that speaks version 2 of its protocol.
	invalidations = "__redis__:invalidate"
	// A server is asked for a sign of life every pingEvery and has pingTimeout to give one, so that a connection that is cut
	// without a word is noticed in less than a second.
	pingEvery   = 250 * time.Millisecond
	pingTimeout = 350 * time.Millisecond
)

var (
	errOnce   = errors.New("a connection that listens is not dialled again")
	errSilent = errors.New("no sign of life from redis")
)

// watch listens to one server, with two connections: on one, changes come in. The other has asked for them, and writes: what
// comes over it is not told back (NOLOOP), as what comes over the client's pool would be. If either is lost, so is the watch:
// it never connects again, since nobody knows what it would have been told meanwhile.
//
// The protocol is RESP2, which every proxy and every version passes on.
type watch struct {
	client  *goredis.Client
	changes *goredis.PubSub
	writer  *goredis.Conn
	reading sync.WaitGroup
	writing sync.Mutex // one at a time uses or closes the writer
	closed  bool
	timeout time.Duration // of one write
	heard   atomic.Int64  // when a message came last, in nanoseconds since 1970
	lost    chan error
}

// openWatch connects, and returns once the server is bound to tell of every change.
func openWatch(ctx context.Context, server *goredis.Options, timeout time.Duration) (_ *watch, err error) {
	var dials, id atomic.Int64
	options := *server
	options.Protocol = 2
	options.MaxRetries, options.DialerRetries = -1, 1
	// A write has as long as any operation has: one that was cut short would not tell the client that Redis hangs.
	bound := max(timeout, pingTimeout)
	options.ReadTimeout, options.WriteTimeout, options.ContextTimeoutEnabled = bound, bound, true
	options.PoolSize, options.MinIdleConns = 1, 0
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(-1) < 0 {
			return nil, errOnce
		}
		return server.Dialer(ctx, network, address)
	}
	options.OnConnect = func(ctx context.Context, connection *goredis.Conn) error {
		number, err := connection.ClientID(ctx).Result()
		id.Store(number)
		return err
	}

	w := &watch{client: goredis.NewClient(&options), timeout: timeout, lost: make(chan error, 1)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	dials.Store(1)
	w.changes = w.client.Subscribe(ctx, invalidations)
	if _, err := w.changes.ReceiveTimeout(ctx, pingTimeout); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	w.heard.Store(time.Now().UnixNano())

	redirect := id.Load()
	dials.Store(1)
	w.writer = w.client.Conn()
	err = w.writer.ClientTrackingOn(ctx, &goredis.ClientTrackingOptions{
		Redirect: redirect, Bcast: true, Prefixes: []string{answerPrefix}, NoLoop: true,
	}).Err()
	if err != nil {
		return nil, fmt.Errorf("asking for changes: %w", err)
	}
	return w, nil
}

// run hands over the name of everything that changes until the watch is lost or the context ends. It does not close the watch,
// since that waits for a write, and nobody who believes the first level should.
func (w *watch) run(ctx context.Context, changed func(name string)) error {
	w.reading.Go(func() { w.fail(w.read(changed)) })
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.lost:
			return err
		case <-ticker.C:
			if err := w.ping(ctx); err != nil {
				return err
			}
		}
	}
}

// read ends with an error also after FLUSHALL and FLUSHDB, which are told as a message without names: go-redis does not read
// it. The watch that follows begins with an empty first level, which is what they ask for.
func (w *watch) read(changed func(name string)) error {
	for {
		received, err := w.changes.Receive(context.Background()) // until closed
		if err != nil {
			return err
		}
		w.heard.Store(time.Now().UnixNano())
		if message, ok := received.(*goredis.Message); ok {
			for _, name := range message.PayloadSlice {
				changed(name)
			}
		}
	}
}

// ping asks for a sign of life on both connections. A write in progress is one.
func (w *watch) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if time.Since(time.Unix(0, w.heard.Load())) > pingEvery+pingTimeout {
		return errSilent
	}
	if err := w.changes.Ping(ctx); err != nil {
		return err
	}
	if !w.writing.TryLock() {
		return nil
	}
	defer w.writing.Unlock()
	return w.writer.Ping(ctx).Err()
}

// set writes a value. done is false where another write is in progress, the watch is over or the server refuses, and nothing
// was written.
func (w *watch) set(ctx context.Context, name string, value []byte, ttl time.Duration) (done bool, err error) {
	if !w.writing.TryLock() {
		return false, nil
	}
	defer w.writing.Unlock()
	if w.closed {
		return false, nil
	}
	// A caller who leaves must not break the connection that all depend on.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.timeout)
	defer cancel()
	err = w.writer.Set(ctx, name, value, ttl).Err()
	if err == nil {
		return true, nil
	}
	if _, replied := errors.AsType[goredis.Error](err); replied { // such as MOVED
		return false, nil
	}
	w.fail(err)
	return true, err
}

func (w *watch) fail(err error) {
	select {
	case w.lost <- err:
	default:
	}
}

// close waits for a write in progress, and takes the connections.
func (w *watch) close() {
	if w.changes != nil {
		w.changes.Close() //nolint:errcheck // nothing was promised of it any more
	}
	w.reading.Wait()
	w.writing.Lock()
	defer w.writing.Unlock()
	w.closed = true
	if w.writer != nil {
		w.writer.Close() //nolint:errcheck
	}
	w.client.Close() //nolint:errcheck
}
