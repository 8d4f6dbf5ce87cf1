package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// quickLeases have a gateway that dies noticed soon.
func quickLeases(a *Answers) { a.leases.ttl = 600 * time.Millisecond }

func takeLease(t testing.TB, s *Answers, key gateway.AnswerKey) (release func(), granted bool) {
	t.Helper()
	release, granted, err := s.Lease(t.Context(), key)
	if err != nil {
		t.Fatalf("taking a lease: %v", err)
	}
	if granted != (release != nil) {
		t.Fatalf("granted %v, with release: %v", granted, release != nil)
	}
	return release, granted
}

func TestALeaseIsGrantedToOneOfMany(t *testing.T) {
	server := redistest.Start(t)
	stores := []*Answers{openCache(t, server.URL()), openCache(t, server.URL())}
	for round := range byte(5) {
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				if _, ok := takeLease(t, stores[i%2], gateway.AnswerKey{round}); ok {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		if n := granted.Load(); n != 1 {
			t.Errorf("granted to %d of 64", n)
		}
	}
}

func TestALeaseGivenBackIsGrantedAgain(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	key := gateway.AnswerKey{1}
	release, _ := takeLease(t, a, key)
	ends := server.Subscribe(t.Context(), leaseName(key))
	defer ends.Close() //nolint:errcheck
	if _, err := ends.ReceiveTimeout(t.Context(), 5*time.Second); err != nil {
		t.Fatalf("subscribing: %v", err)
	}
	release()
	if told, err := ends.ReceiveTimeout(t.Context(), 5*time.Second); err != nil {
		t.Errorf("nobody is told: %v, error %v", told, err)
	}
	again, granted := takeLease(t, b, key)
	if !granted {
		t.Fatal("not granted again")
	}
	release() // once more: this is not its lease
	if _, granted := takeLease(t, a, key); granted {
		t.Error("giving a lease back twice gave back somebody else's")
	}
	again()
	if n := server.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestGivingBackALeaseThatWasLostTakesNobodyElses(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	key := gateway.AnswerKey{1}
	release, _ := takeLease(t, a, key)
	if err := server.Del(t.Context(), leaseName(key)).Err(); err != nil {
		t.Fatalf("taking the lease away: %v", err)
	}
	if _, granted := takeLease(t, b, key); !granted {
		t.Fatal("a lease that was lost is not granted again")
	}
	release()
	if _, granted := takeLease(t, a, key); granted {
		t.Error("somebody else's lease was given back")
	}
}

func TestALeaseThatIsHeldIsRenewed(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL(), quickLeases)
	key := gateway.AnswerKey{1}
	release, _ := takeLease(t, store, key)
	within(t, 10*time.Second, "four renewals", func() bool { return server.Calls("pexpire") >= 4 }) // more than the lease's time
	if _, granted := takeLease(t, store, key); granted {
		t.Error("granted to a second while it is held")
	}
	release()
	within(t, 5*time.Second, "renewing to end", func() bool {
		store.leases.mu.Lock()
		defer store.leases.mu.Unlock()
		return !store.leases.renewing
	})
}

func TestALeaseIsNotRenewedForever(t *testing.T) {
	ls := &leases{held: map[*lease]struct{}{
		{until: time.Now().Add(-time.Second)}: {},
		{until: time.Now().Add(time.Hour)}:    {},
	}, renewing: true}
	if due := ls.due(); len(due) != 1 || len(ls.held) != 1 || !ls.renewing {
		t.Errorf("%d of %d leases are due, renewing: %v", len(due), len(ls.held), ls.renewing)
	}
}

func TestTheLeaseOfAGatewayThatDiesIsGrantedToAnother(t *testing.T) {
	server := redistest.Start(t)
	dead, alive := openCache(t, server.URL(), quickLeases), openCache(t, server.URL(), quickLeases)
	key := gateway.AnswerKey{1}
	takeLease(t, dead, key)
	dead.tasks.close() // no renewal, and nobody is told
	start := time.Now()
	alive.Await(t.Context(), key)
	if took := time.Since(start); took > dead.leases.ttl+2*mostPoll {
		t.Errorf("waited %v for a lease of %v", took, dead.leases.ttl)
	}
	if _, granted := takeLease(t, alive, key); !granted {
		t.Error("not granted")
	}
}

func TestWhoWaitsIsWokenWhenTheLeaseIsGivenBack(t *testing.T) {
	server := redistest.Start(t)
	leader, follower := openCache(t, server.URL()), openCache(t, server.URL())
	for round := range byte(10) {
		key := gateway.AnswerKey{round}
		release, _ := takeLease(t, leader, key)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				follower.Await(t.Context(), key)
				if got := bodyOf(t, follower, key); got != "kept" {
					t.Errorf("woken before the answer is kept: found %q", got)
				}
			})
		}
		within(t, 5*time.Second, "one subscription for all", func() bool {
			n := server.PubSubNumSub(t.Context(), leaseName(key)).Val()[leaseName(key)]
			follower.waits.mu.Lock()
			defer follower.waits.mu.Unlock()
			w := follower.waits.byName[leaseName(key)]
			return n == 1 && w != nil && w.waiting == 100
		})
		// Asked so seldom by then that only being told wakes in time.
		putAnswer(t, leader, key, anAnswer("kept"))
		start := time.Now()
		release()
		all.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("woken after %v", took)
		}
	}
	within(t, 5*time.Second, "no subscription to be left", func() bool {
		return len(server.PubSubChannels(t.Context(), leasePrefix+"*").Val()) == 0
	})
	follower.waits.mu.Lock()
	defer follower.waits.mu.Unlock()
	if len(follower.waits.byName) != 0 {
		t.Errorf("%d waits are left", len(follower.waits.byName))
	}
}

func TestBeingToldWakesWithoutAsking(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	key := gateway.AnswerKey{1}
	takeLease(t, store, key)
	done := make(chan struct{})
	go func() { defer close(done); store.Await(t.Context(), key) }()
	within(t, 5*time.Second, "a subscription", func() bool {
		return len(server.PubSubChannels(t.Context(), leasePrefix+"*").Val()) == 1
	})
	// The lease stays: only the message can end the wait.
	if err := server.Publish(t.Context(), leaseName(key), "").Err(); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "the wait to end", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

func TestWaitingEndsWithTheCallTheBoundAndTheStore(t *testing.T) {
	server := redistest.Start(t)
	key := gateway.AnswerKey{1}
	holder := openCache(t, server.URL())
	takeLease(t, holder, key)
	waits := func(s *Answers, ctx context.Context, end func()) {
		t.Helper()
		done := make(chan struct{})
		go func() { defer close(done); s.Await(ctx, key) }()
		within(t, 5*time.Second, "a subscription", func() bool {
			return len(server.PubSubChannels(t.Context(), leasePrefix+"*").Val()) == 1
		})
		end()
		within(t, 2*time.Second, "the wait to end", func() bool {
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		within(t, 5*time.Second, "the subscription to end", func() bool {
			return len(server.PubSubChannels(t.Context(), leasePrefix+"*").Val()) == 0
		})
	}
	store := openCache(t, server.URL())
	ctx, leave := context.WithCancel(t.Context())
	waits(store, ctx, leave)
	waits(store, t.Context(), func() { store.Close() }) //nolint:errcheck

	bounded := openCache(t, server.URL(), func(a *Answers) { a.waits.bound = 300 * time.Millisecond })
	waits(bounded, t.Context(), func() {})
}

func TestWaitingForNobodyEndsAtOnce(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	start := time.Now()
	store.Await(t.Context(), gateway.AnswerKey{1})
	if took := time.Since(start); took > time.Second {
		t.Errorf("waited %v for nobody", took)
	}
}
