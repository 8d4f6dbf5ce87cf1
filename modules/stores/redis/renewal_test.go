package redis

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

func TestSlotsOfAProcessThatDiedAreFreeAfterHalfAMinute(t *testing.T) {
	s := startServer(t)
	dead, alive := openLimiter(t, s.patient(), Deny, nil), openLimiter(t, s.patient(), Deny, nil)
	clock := new(fakeClock)
	withClock(t, dead, clock)
	advance := withClock(t, alive, clock) // renews what is alive only
	admit(t, dead, -1, concurrency("key:a", 2))
	admit(t, alive, -1, concurrency("key:a", 2))
	advance(slotTTL - time.Microsecond)
	admit(t, alive, 0, concurrency("key:a", 2))
	advance(time.Microsecond)
	admit(t, alive, -1, concurrency("key:a", 2))
	admit(t, alive, 0, concurrency("key:a", 2))
}

func TestARenewalTakesLostSlotsAgainAndNotThoseOfCallsThatHaveEnded(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	kept, ended := admit(t, l, -1, concurrency("key:a", 2)), admit(t, l, -1, concurrency("key:a", 2))
	held := l.held()
	s.do("FLUSHALL")
	settled{l}.Settle(t.Context(), ended)
	l.renew(t.Context())
	if n, _ := s.do("ZCARD", "rate_limit:{key:a}:key:a:concurrency").Int(); n != 1 {
		t.Errorf("%d slots in use, want 1", n)
	}
	l.endAgain(t.Context(), held)
	admit(t, l, -1, concurrency("key:a", 2))
	admit(t, l, 0, concurrency("key:a", 2))
	settled{l}.Settle(t.Context(), kept)
	admit(t, l, -1, concurrency("key:a", 2))
}

func TestNobodyRenewsWhereNobodyHoldsASlot(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	admit(t, l, -1, requests("key:a", 2, time.Minute))
	if l.calls.renewing {
		t.Error("somebody renews")
	}
	settled{l}.Settle(t.Context(), admit(t, l, -1, concurrency("key:a", 2)))
	if !l.calls.renewing || len(l.held()) != 0 {
		t.Errorf("renewing is %v, %d calls hold slots", l.calls.renewing, len(l.held()))
	}
}

func TestNothingRunsOnceALimiterAndItsClientAreClosed(t *testing.T) {
	s := startServer(t)
	before := goleak.IgnoreCurrent()
	client, err := NewClient(s.url(), DefaultTimeout, 0, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(client, Local, memory.NewLimiter())
	admit(t, l, -1, concurrency("key:a", 1)) // whose renewal is running
	s.kill()
	for range 2 * openAfter { // so is the search for redis
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	l.Close()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
