package exchange

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fetchTimeout bounds one fetch of what has expired or will soon.
	fetchTimeout = 15 * time.Second
	// fetchPause is how long after a fetch none is begun while what there is still holds: whoever gives it may fail, or give what
	// ends soon.
	fetchPause = 15 * time.Second
)

var errExpired = errors.New("what was fetched has expired already; look at this machine's clock")

// Fresh keeps something that expires, such as a token. Whoever needs it has it at once while it holds; shortly before its end the
// next one is fetched beside the calls. Only where there is none that holds do calls wait, all for the same fetch.
type Fresh[T any] struct {
	// Fetch gets a new one, and tells when it ends; the zero time is never.
	Fetch func(ctx context.Context) (value T, ends time.Time, err error)
	// Ahead is how long before its end the next one is fetched.
	Ahead time.Duration

	current atomic.Pointer[fresh[T]]

	mu     sync.Mutex
	flight *flight   // the fetch in progress
	pause  time.Time // until when none is begun that is not needed yet
}

type fresh[T any] struct {
	value T
	ends  time.Time
}

// flight is a fetch that several calls may wait for.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // why there is nothing new; to be read once done is closed
}

// Get returns one that holds.
func (f *Fresh[T]) Get(ctx context.Context) (T, error) {
	for {
		now := time.Now()
		current := f.current.Load()
		if current != nil && (current.ends.IsZero() || now.Before(current.ends)) {
			if !current.ends.IsZero() && now.After(current.ends.Add(-f.Ahead)) {
				f.fetch(now, false)
			}
			return current.value, nil
		}
		flight := f.fetch(now, true)
		select {
		case <-flight.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if flight.err != nil {
			var none T
			return none, flight.err
		}
	}
}

// Close ends the fetch in progress and waits for its end. Whoever still needs something after that has it fetched as before.
func (f *Fresh[T]) Close() {
	f.mu.Lock()
	flight := f.flight
	f.mu.Unlock()
	if flight != nil {
		flight.cancel()
		<-flight.done
	}
}

// fetch joins the fetch in progress or begins one. One that is not needed yet is not begun right after another.
func (f *Fresh[T]) fetch(now time.Time, needed bool) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flight != nil || !needed && now.Before(f.pause) {
		return f.flight
	}
	// Of its own context: the call that needs it first may leave while others wait.
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	flight := &flight{done: make(chan struct{}), cancel: cancel}
	f.flight = flight
	go func() {
		defer cancel()
		value, ends, err := f.Fetch(ctx)
		if err == nil && !ends.IsZero() && !time.Now().Before(ends) {
			err = errExpired
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if flight.err = err; err == nil {
			f.current.Store(&fresh[T]{value, ends})
		}
		f.pause = time.Now().Add(fetchPause)
		f.flight = nil
		close(flight.done)
	}()
	return flight
}
