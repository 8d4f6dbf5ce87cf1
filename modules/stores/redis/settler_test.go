package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Only what a call gives back is on its way behind it: a client that comes again at once finds what it has left.
func TestAClientThatComesAgainAtOnceIsNotRefused(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	call := func() []gateway.Claim {
		return of("team:x", concurrency("key:a", 1), tokens("key:a", 100, 100, time.Hour))
	}
	for range 500 {
		claims := admit(t, l, -1, call()...)
		l.Settle(t.Context(), claims)
	}
	for range 100 {
		claims := admit(t, l, -1, call()...)
		admit(t, l, 1, call()...) // which is remembered until the units are back
		l.Cancel(t.Context(), claims)
	}
}

func TestManyClientsThatComeAgainAtOnceAreNotRefused(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	const clients = 8
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range 100 {
				claims := of("team:x", concurrency("key:a", clients), tokens("team:x", clients*10, 10, time.Hour))
				denied, err := l.Admit(t.Context(), claims)
				if denied >= 0 || err != nil {
					t.Errorf("denied %d, error %v: %+v", denied, err, claims)
					return
				}
				l.Settle(t.Context(), claims)
			}
		})
	}
	all.Wait()
}

func TestSettlingDoesNotWaitForRedis(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	calls := make([][]gateway.Claim, 10)
	for i := range calls {
		calls[i] = admit(t, l, -1, concurrency("key:a", 10))
	}
	s.do("CLIENT", "PAUSE", 60_000, "WRITE") // longer than the client waits
	for _, call := range calls {
		l.Settle(t.Context(), call)
	}
	if l.settler.idle() {
		t.Error("Redis knows of settlements while it is paused")
	}
	s.do("CLIENT", "UNPAUSE")
	l.settler.flush()
	if n, _ := s.do("ZCARD", "rate_limit:{key:a}:key:a:concurrency").Int(); n != 0 {
		t.Errorf("%d slots are held, want none", n)
	}
	if !l.settler.idle() || len(l.settler.windows) != 0 {
		t.Errorf("%d windows are still on their way", len(l.settler.windows))
	}
}

func TestSettlementsAreToldInBatches(t *testing.T) {
	told := make(chan int)
	s := newSettler(t.Context(), func(_ context.Context, scripts []invocation) error {
		told <- len(scripts)
		return nil
	})
	one := settlement{scripts: make([]invocation, 1), keys: []string{"a"}, after: func() {}}
	s.settle(t.Context(), one)
	changed := []window{{key: "a"}}
	await(t, "the first to be on its way", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 0
	})
	first := s.about(changed)
	for range settledAtOnce + 1 {
		s.settle(t.Context(), one)
	}
	second := s.about(changed)
	if first == nil || second == nil || first == second {
		t.Error("what is on its way and what waits are not told apart")
	}
	if s.about([]window{{key: "b"}}) != nil {
		t.Error("a window that nothing comes back to is waited for")
	}
	for _, want := range []int{1, settledAtOnce, 1} {
		if got := <-told; got != want {
			t.Errorf("%d at once, want %d", got, want)
		}
	}
	<-first
	<-second
	s.close()
	if !s.idle() {
		t.Error("something is left")
	}
}

func TestWhoeverFindsTheQueueFullTellsRedisHimself(t *testing.T) {
	var mu sync.Mutex
	var total int
	release := make(chan struct{})
	first := true
	s := newSettler(t.Context(), func(_ context.Context, scripts []invocation) error {
		mu.Lock()
		wait := first
		first = false
		total += len(scripts)
		mu.Unlock()
		if wait {
			<-release
		}
		return nil
	})
	one := settlement{scripts: make([]invocation, 1), keys: []string{"a"}, after: func() {}}
	s.settle(t.Context(), one)
	await(t, "the first to be on its way", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 0
	})
	for range maxUnsettled + 5 {
		s.settle(t.Context(), one)
	}
	mu.Lock()
	if total != 6 {
		t.Errorf("%d told, want the first and the 5 that found no room", total)
	}
	mu.Unlock()
	close(release)
	s.close()
	if total != maxUnsettled+6 {
		t.Errorf("%d told, want all %d", total, maxUnsettled+6)
	}
}

// What a server may have seen is never sent again: units would come back twice.
func TestOnlyWhatWasNotSentIsTriedAgain(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, c := range []struct {
		name  string
		err   error   // of the first attempt
		calls []error // of its calls
		again int
	}{
		{"all is well", nil, []error{nil, nil}, 0},
		{"Redis is not asked", ErrOpen, []error{nil, nil}, 2},
		{"no connection is free", goredis.ErrPoolTimeout, []error{goredis.ErrPoolTimeout, goredis.ErrPoolTimeout}, 2},
		{"one node of a Cluster cannot be reached", dial, []error{nil, dial}, 1},
		{"no answer in time", context.DeadlineExceeded, []error{context.DeadlineExceeded, context.DeadlineExceeded}, 0},
		{"a connection that breaks", io.EOF, []error{io.EOF, &net.OpError{Op: "read", Err: io.EOF}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []int
				s := newSettler(t.Context(), func(_ context.Context, scripts []invocation) error {
					told = append(told, len(scripts))
					if len(told) > 1 {
						return nil
					}
					for i, err := range c.calls {
						if err != nil {
							scripts[i].SetErr(err)
						}
					}
					return c.err
				})
				var scripts []invocation
				for range c.calls {
					scripts = append(scripts, settleScript.invocation(t.Context(), make([]any, 3)))
				}
				s.settle(t.Context(), settlement{scripts: scripts, keys: []string{"a"}, after: func() {}})
				s.close()
				again := 0
				for _, n := range told[1:] {
					again += n
				}
				if told[0] != len(scripts) || again != c.again {
					t.Errorf("told %v, want %d and then %d", told, len(scripts), c.again)
				}
			})
		})
	}
}

func TestWhatCannotBeSentIsGivenUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		s := newSettler(t.Context(), func(context.Context, []invocation) error { attempts++; return ErrOpen })
		began := time.Now()
		s.settle(t.Context(), settlement{scripts: []invocation{settleScript.invocation(t.Context(), make([]any, 3))}, after: func() {}})
		s.close()
		if took := time.Since(began); took < settleFor || took > settleFor+2*settleAgain || attempts < 100 {
			t.Errorf("%d attempts in %v", attempts, took)
		}
	})
}
