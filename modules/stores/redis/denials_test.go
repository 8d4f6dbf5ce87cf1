package redis

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestARefusalIsRepeatedForASecondWithoutAskingRedis(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	clock := new(fakeClock)
	advance := withClock(t, l, clock)
	call := func(n int64) []gateway.Claim {
		return of("team:x", tokens("key:a", 1000, 10, time.Minute), requests("key:a", n, time.Minute))
	}
	admit(t, l, -1, call(1)...)
	first := admit(t, l, 1, call(1)...)
	since := s.counting()
	advance(denialTTL - time.Microsecond)
	again := admit(t, l, 1, call(1)...)
	if got := since(); got != 0 {
		t.Errorf("%d operations, want none", got)
	}
	if got, want := again[1].RetryAfter, first[1].RetryAfter-(denialTTL-time.Microsecond); got != want {
		t.Errorf("retry after %v, want %v", got, want)
	}
	if again[0].Remaining != 990 || again[1].Remaining != 0 {
		t.Errorf("remaining %d and %d, want 990 and 0", again[0].Remaining, again[1].Remaining)
	}
	admit(t, l, -1, call(2)...) // another limit is another question
	advance(time.Microsecond)
	admit(t, l, 1, call(1)...)
	if got := since(); got != 2 {
		t.Errorf("%d operations, want 2", got)
	}
}

func TestUnitsThatComeBackEndARefusalAtOnce(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	call := admit(t, l, -1, tokens("key:a", 100, 80, time.Minute))
	admit(t, l, 0, tokens("key:a", 100, 30, time.Minute))
	call[0].Actual = 10
	settled{l}.Settle(t.Context(), call)
	admit(t, l, -1, tokens("key:a", 100, 30, time.Minute))
}

func TestRefusalsThatAreRememberedAreBounded(t *testing.T) {
	d := newDenials(denialTTL)
	for i := range 3 * maxDenials {
		claims := []gateway.Claim{requests(string(rune('a'+i%26))+time.Duration(i).String(), 1, time.Minute)}
		claims[0].RetryAfter = time.Minute
		d.keep(claims, 0, 0)
	}
	if len(d.known) > maxDenials || len(d.names) != len(d.known) {
		t.Errorf("%d refusals under %d names, want %d at most", len(d.known), len(d.names), maxDenials)
	}
}
