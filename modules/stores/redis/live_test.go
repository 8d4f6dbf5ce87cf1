package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// member is a gateway of a fleet.
func member(t *testing.T, client *Client, adapt ...func(*fleet)) *Limiter {
	t.Helper()
	l := newLimiter(client, Local, memory.NewLimiter())
	t.Cleanup(l.Close)
	for _, change := range adapt {
		change(l.fleet)
	}
	return l
}

// hasty has a fleet's signs come often and last for a moment.
func hasty(f *fleet) {
	f.ttl, f.every, f.soon = 600*time.Millisecond, 200*time.Millisecond, 20*time.Millisecond
}

func TestEachGatewayLearnsHowManyThereAre(t *testing.T) {
	s := startServer(t)
	members := []*Limiter{member(t, s.patient()), member(t, s.patient()), member(t, s.patient())}
	for i, l := range members {
		if n := l.fleet.size.Load(); n != 1 {
			t.Errorf("gateway %d knows of %d before it has asked", i, n)
		}
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	for _, l := range members { // those that came first ask again soon
		await(t, "the gateway to know of all three", func() bool { return l.fleet.size.Load() == 3 })
	}
	if got := reading(t, processMetrics().fleetSize); got != 3 {
		t.Errorf("the metric says %v, want 3", got)
	}
}

func TestAGatewayThatIsAskedWhetherItIsReadyIsCounted(t *testing.T) {
	s := startServer(t)
	t.Setenv("REDIS_URL", s.url())
	store := new(Store)
	if err := provision(t, store); err != nil {
		t.Fatal(err)
	}
	if keys := s.keys("*"); len(keys) != 0 {
		t.Errorf("%v is in Redis before the gateway was used", keys)
	}
	await(t, "a sign of life", func() bool { return store.Ping(t.Context()) == nil })
	await(t, "the gateway to be counted", func() bool { n, _ := s.do("ZCARD", liveKey).Int(); return n == 1 })
	if err := store.Release(); err != nil {
		t.Error(err)
	}
	if keys := s.keys("*"); len(keys) != 0 {
		t.Errorf("%v is in Redis after the gateway has ended", keys)
	}
}

func TestAGatewayThatEndsIsNotCountedAndOneThatDiesIsNotForLong(t *testing.T) {
	s := startServer(t)
	stays, ends := member(t, s.patient(), hasty), member(t, s.patient(), hasty)
	s.do("ZADD", liveKey, time.Now().Add(400*time.Millisecond).UnixMicro(), "died")
	for _, l := range []*Limiter{stays, ends} {
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	await(t, "the gateway to know of all three", func() bool { return stays.fleet.size.Load() == 3 })
	ends.Close()
	if err := s.admin.ZScore(t.Context(), liveKey, ends.fleet.name).Err(); err == nil {
		t.Error("the gateway that has ended is still counted")
	}
	await(t, "the gateway to know that it is alone", func() bool { return stays.fleet.size.Load() == 1 })
}

func TestTheCountIsKeptWhileRedisIsAway(t *testing.T) {
	s := startServer(t)
	l, other := member(t, s.client(), hasty), member(t, s.patient(), hasty)
	for _, l := range []*Limiter{l, other} {
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	await(t, "the gateway to know of both", func() bool { return l.fleet.size.Load() == 2 })
	s.kill()
	await(t, "the breaker to open", func() bool { return !l.client.Up() }) // which signs of life alone do
	if n := l.fleet.size.Load(); n != 2 {
		t.Errorf("the gateway knows of %d, want 2", n)
	}
	s.start()
	await(t, "the gateway to be counted again", func() bool {
		return s.admin.ZScore(t.Context(), liveKey, l.fleet.name).Err() == nil && l.fleet.size.Load() == 2
	})
}

func TestAShareIsNeverTooSmallForAllAndLessThanAUnitTooLarge(t *testing.T) {
	var f fleet
	for size := int64(0); size < 12; size++ {
		f.size.Store(size)
		for _, n := range []int64{-1, 0, 1, 2, 3, 10, 100, 101, exactUpTo, maxUnits} {
			share, gateways := f.share(n), max(size, 1)
			if n < 1 {
				if share != n {
					t.Errorf("a share of %d among %d is %d", n, size, share)
				}
				continue
			}
			if share < 1 || share > n || (share-1)*gateways >= n || n < maxUnits && share*gateways < n {
				t.Errorf("a share of %d among %d is %d", n, size, share)
			}
		}
	}
}

func TestAGatewayThatMayNotBeCountedSaysSoAndIsNoReasonToGiveRedisUp(t *testing.T) {
	s := startServer(t)
	s.do("ACL", "SETUSER", "gw", "on", ">secret", "~rate_limit:*", "+@all")
	log, logs := observed()
	client := newClient(t, "unix://gw:secret@"+s.socket(), 10*time.Second, log)
	l := member(t, client, hasty)
	admit(t, l, -1, requests("key:a", 100, time.Hour))
	await(t, "several attempts", func() bool {
		var n int
		_, text, _ := strings.Cut(s.do("INFO", "errorstats").String(), "errorstat_NOPERM:count=")
		fmt.Sscan(text, &n) //nolint:errcheck // none yet
		return n > 2*openAfter
	})
	if !client.Up() {
		t.Error("redis is given up")
	}
	admit(t, l, -1, requests("key:a", 100, time.Hour))
	if logs.FilterLevelExact(zap.WarnLevel).Len() != 1 || logs.FilterMessageSnippet(liveKey).Len() != 1 {
		t.Errorf("want one line that names the key: %v", logs.All())
	}
}

func TestWithoutRedisAGatewayAdmitsItsShareWithWhatItHasAdmittedBefore(t *testing.T) {
	s := startServer(t)
	members := []*Limiter{member(t, s.client()), member(t, s.client()), member(t, s.client())}
	call := func() []gateway.Claim { return of("team:x", requests("key:a", 10, time.Hour), concurrency("key:a", 5)) }
	for _, l := range members {
		admit(t, l, -1, call()...)
	}
	for _, l := range members {
		await(t, "the gateway to know of all three", func() bool { return l.fleet.size.Load() == 3 })
	}
	s.kill()
	for _, l := range members { // 4 of 10 requests and 2 of 5 slots each, of which one each is in use
		last := admit(t, l, -1, call()...)
		if last[0].Remaining != 2 || last[1].Remaining != 0 {
			t.Errorf("remaining %d and %d, want 2 and 0", last[0].Remaining, last[1].Remaining)
		}
		admit(t, l, 1, call()...)
		l.Settle(t.Context(), last)
		for range 2 {
			l.Settle(t.Context(), admit(t, l, -1, call()...))
		}
		admit(t, l, 0, call()...)
	}
}

func TestAGatewayThatHasNeverLearnedTheCountGoesByTheWholeLimit(t *testing.T) {
	s := startServer(t)
	s.kill()
	for range 2 {
		l := member(t, s.client())
		for range 3 {
			admit(t, l, -1, requests("key:a", 3, time.Hour))
		}
		admit(t, l, 0, requests("key:a", 3, time.Hour))
	}
}
