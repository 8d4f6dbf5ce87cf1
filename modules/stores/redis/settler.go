package redis

import (
	"context"
	"errors"
	"hash/maphash"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// settledAtOnce bounds a batch, so that one does not keep Redis from serving others.
	settledAtOnce = 128
	// maxUnsettled bounds what waits. Whoever comes on top tells Redis himself.
	maxUnsettled = 8192
	// settleAgain is how long what could not be sent waits, and settleFor how long it is tried: a slot is free by itself then.
	settleAgain = 50 * time.Millisecond
	settleFor   = slotTTL
)

// settler tells Redis what calls that are over give back. It does so behind their answers and in batches, so that no client waits
// for it. Nothing runs while there is nothing to tell.
//
// A client whose call is over may come again before Redis knows. So a decision that goes against a call is asked for again where
// units were on their way back to its windows while it was made: see about and changes.
type settler struct {
	tell func(context.Context, []invocation) error
	ctx  context.Context // with whose end nothing is tried again

	count atomic.Int64 // settlements that Redis does not know of yet, so that the usual call takes no lock
	// epochs count what has begun and what has ended, for each window, some of which share one.
	epochs [256]atomic.Uint64
	seed   maphash.Seed

	mu      sync.Mutex
	queue   []settlement
	told    chan struct{} // closed when all that is in the queue has been told
	telling chan struct{} // the same for the batch on its way
	windows map[string]int
	running sync.WaitGroup
	busy    bool
}

// settlement is what one call gives back.
type settlement struct {
	scripts []invocation
	keys    []string // of the windows that it changes
	after   func()   // once it has been told, or could not be
}

func newSettler(ctx context.Context, tell func(context.Context, []invocation) error) *settler {
	return &settler{tell: tell, ctx: ctx, told: make(chan struct{}), windows: make(map[string]int), seed: maphash.MakeSeed()}
}

// settle takes a settlement over.
func (s *settler) settle(ctx context.Context, what settlement) {
	s.mu.Lock()
	if len(s.queue) >= maxUnsettled {
		s.mu.Unlock()
		_ = s.tell(ctx, what.scripts)
		what.after()
		return
	}
	s.count.Add(1)
	s.queue = append(s.queue, what)
	for _, key := range what.keys {
		s.windows[key]++
		s.epoch(key).Add(1)
	}
	if !s.busy {
		s.busy = true
		s.running.Go(s.run)
	}
	s.mu.Unlock()
}

// idle reports whether Redis knows of everything.
func (s *settler) idle() bool { return s.count.Load() == 0 }

// about returns what is closed once Redis knows of all that is on its way back to some windows by now; nil where nothing is.
func (s *settler) about(windows []window) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range windows {
		if s.windows[windows[i].key] > 0 {
			return s.last()
		}
	}
	return nil
}

// changes is a number that stays the same while nothing comes back to some windows.
func (s *settler) changes(windows []window) (sum uint64) {
	for i := range windows {
		sum += s.epoch(windows[i].key).Load()
	}
	return sum
}

func (s *settler) epoch(key string) *atomic.Uint64 {
	return &s.epochs[maphash.String(s.seed, key)%uint64(len(s.epochs))]
}

// last is closed once all that is on its way by now has been told; nil where nothing is.
func (s *settler) last() <-chan struct{} {
	if len(s.queue) > 0 {
		return s.told
	}
	return s.telling
}

// flush waits until Redis knows of all that is on its way by now, or could not be told.
func (s *settler) flush() {
	s.mu.Lock()
	last := s.last()
	s.mu.Unlock()
	if last != nil {
		<-last
	}
}

// close waits for what is on its way. Nothing may come after it.
func (s *settler) close() { s.running.Wait() }

func (s *settler) run() {
	var batch []settlement
	var scripts []invocation
	for {
		s.mu.Lock()
		for i := range batch {
			s.forget(batch[i].keys)
		}
		s.count.Add(-int64(len(batch)))
		if s.telling != nil {
			close(s.telling)
			s.telling = nil
		}
		batch, s.queue = s.queue, nil
		if s.busy = len(batch) > 0; !s.busy {
			s.mu.Unlock()
			return
		}
		s.telling, s.told = s.told, make(chan struct{})
		s.mu.Unlock()

		scripts = scripts[:0]
		for i := range batch {
			scripts = append(scripts, batch[i].scripts...)
		}
		for left := scripts; len(left) > 0; {
			n := min(len(left), settledAtOnce)
			s.deliver(left[:n])
			left = left[n:]
		}
		for i := range batch {
			batch[i].after()
		}
	}
}

func (s *settler) forget(keys []string) {
	for _, key := range keys {
		if s.windows[key]--; s.windows[key] == 0 {
			delete(s.windows, key)
		}
		s.epoch(key).Add(1)
	}
}

// deliver tells Redis. What was sent is not sent again, since it may have happened; what that means is in [Limiter.Settle]'s comment.
// What was not, for want of a connection or while Redis is not asked, is.
func (s *settler) deliver(scripts []invocation) {
	for began := time.Now(); ; {
		scripts = unsent(scripts, s.tell(context.Background(), scripts))
		if len(scripts) == 0 || time.Since(began) > settleFor {
			return
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(settleAgain):
		}
	}
}

// unsent lists those of some calls that no server can have seen, as they were before.
func unsent(calls []invocation, err error) (left []invocation) {
	if err == nil {
		return nil
	}
	for _, call := range calls {
		var dial *net.OpError
		if errors.Is(err, ErrOpen) || errors.Is(call.Err(), goredis.ErrPoolTimeout) || errors.As(call.Err(), &dial) && dial.Op == "dial" {
			left = append(left, invocation{goredis.NewIntSliceCmd(context.Background(), call.Args()...), call.script})
		}
	}
	return left
}
