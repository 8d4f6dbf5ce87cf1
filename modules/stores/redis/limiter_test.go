package redis

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func requests(subject string, n int64, length time.Duration) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitRequests, N: n, Window: length}, Cost: 1}
}

func tokens(subject string, n, cost int64, length time.Duration) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitTokens, N: n, Window: length}, Cost: cost}
}

func concurrency(subject string, n int64) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitConcurrency, N: n}, Cost: 1}
}

// of puts claims under one tenant.
func of(tenant string, claims ...gateway.Claim) []gateway.Claim {
	for i := range claims {
		claims[i].Tenant = tenant
	}
	return claims
}

func admit(t testing.TB, l *Limiter, denied int, claims ...gateway.Claim) []gateway.Claim {
	t.Helper()
	got, err := l.Admit(t.Context(), claims)
	if err != nil || got != denied {
		t.Fatalf("denied %d, error %v; want %d; claims %+v", got, err, denied, claims)
	}
	return claims
}

// counting counts the operations of a server.
func (s *server) counting() (since func() int) {
	s.t.Helper()
	count := func() (total int) {
		for line := range strings.Lines(s.do("INFO", "commandstats").String()) {
			for _, command := range []string{"evalsha", "eval"} {
				if rest, found := strings.CutPrefix(line, "cmdstat_"+command+":calls="); found {
					n := 0
					for i := 0; rest[i] != ','; i++ {
						n = 10*n + int(rest[i]-'0')
					}
					total += n
				}
			}
		}
		return total
	}
	before := count()
	return func() int { return count() - before }
}

func TestADecisionOverAllLimitsOfATenantIsOneOperation(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	call := func() []gateway.Claim {
		return of("team:x", requests("key:a", 100, time.Minute), tokens("key:a", 1000, 10, time.Minute), requests("team:x", 100_000, time.Hour), concurrency("key:a", 9))
	}
	admit(t, l, -1, call()...)
	since := s.counting()
	claims := admit(t, l, -1, call()...)
	if got := since(); got != 1 {
		t.Errorf("admitting took %d operations, want 1", got)
	}
	settled{l}.Settle(t.Context(), claims)
	if got := since(); got > 3 { // one more, or two where the server had not seen the script
		t.Errorf("admitting and settling took %d operations, want 2", got)
	}
	since = s.counting()
	claims = admit(t, l, -1, of("team:x", requests("key:a", 100, time.Minute))...)
	settled{l}.Settle(t.Context(), claims)
	if got := since(); got != 1 {
		t.Errorf("a call with nothing to correct took %d operations, want 1", got)
	}
}

func TestARefusalWritesNothing(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	call := func() []gateway.Claim {
		return of("team:x", requests("key:a", 1, time.Minute), tokens("key:a", 1000, 10, time.Minute), concurrency("key:a", 9), requests("team:x", 100_000, time.Hour))
	}
	admit(t, l, -1, call()...)
	type kept struct {
		dump string
		ttl  int64
	}
	read := func() map[string]kept {
		all := make(map[string]kept)
		for _, key := range s.keys("rate_limit:*") {
			ttl, _ := s.do("PEXPIRETIME", key).Int64()
			dump, _ := s.do("DUMP", key).Text()
			all[key] = kept{dump, ttl}
		}
		return all
	}
	before := read()
	admit(t, l, 0, append(call(), of("team:x", requests("key:new", 5, time.Minute))...)...)
	after := read()
	if len(before) != 4 || len(after) != 4 {
		t.Errorf("%d keys, then %d; want 4", len(before), len(after))
	}
	for key := range before {
		if before[key] != after[key] {
			t.Errorf("%s was written", key)
		}
	}
}

func TestEveryKeyExpires(t *testing.T) {
	s := startServer(t)
	l := member(t, s.patient())
	for i := range 200 {
		claims := of("team:x", requests("key:a", 150, time.Minute), tokens("key:a", 1e6, 10, time.Hour), requests("team:x", 100_000, 24*time.Hour),
			concurrency("key:a", 300), requests("key:a", []int64{150, 20_000}[i%2], 2*time.Minute))
		if denied, err := l.Admit(t.Context(), claims); err != nil {
			t.Fatal(err)
		} else if denied < 0 && i%3 == 0 {
			claims[1].Actual = int64(i)
			settled{l}.Settle(t.Context(), claims)
		} else if denied < 0 && i%3 == 1 {
			settled{l}.Cancel(t.Context(), claims)
		}
	}
	l.renew(t.Context())
	await(t, "the gateway's sign of life", func() bool { return len(s.keys(liveKey)) == 1 })
	keys := s.keys("*")
	if len(keys) != 6 {
		t.Errorf("%d keys, want 6: %v", len(keys), keys)
	}
	for _, key := range keys {
		if ttl, err := s.do("PTTL", key).Int64(); err != nil || ttl < 0 || ttl > (24*time.Hour*61/60+2*time.Second).Milliseconds() {
			t.Errorf("%s lives %d ms, error %v", key, ttl, err)
		}
	}
}

func TestEveryChargeKeepsItsWindowForAllOfItsLength(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	for _, claim := range []gateway.Claim{requests("key:a", 9, time.Minute), requests("key:a", 20_000, 2*time.Minute), tokens("key:a", 9, 1, time.Minute)} {
		admit(t, l, -1, claim)
		key := keyOf(&claim)
		s.do("PEXPIRE", key, 20_000) // as if time had passed
		admit(t, l, -1, claim)
		if ttl, err := s.do("PTTL", key).Int64(); err != nil || ttl < claim.Limit.Window.Milliseconds() {
			t.Errorf("%s lives %d ms, error %v", key, ttl, err)
		}
	}
	admit(t, l, -1, concurrency("key:a", 9))
	key := "rate_limit:{key:a}:key:a:concurrency"
	for _, renew := range []func(){func() { admit(t, l, -1, concurrency("key:a", 9)) }, func() { l.renew(t.Context()) }} {
		s.do("PEXPIRE", key, 10_000)
		renew()
		if ttl, err := s.do("PTTL", key).Int64(); err != nil || ttl < (slotTTL-time.Second).Milliseconds() {
			t.Errorf("%s lives %d ms, error %v", key, ttl, err)
		}
	}
}

func TestAScriptThatTheServerHasLostIsLoadedAgain(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	for range 3 {
		s.do("SCRIPT", "FLUSH")
		one := admit(t, l, -1, of("team:x", tokens("key:a", 1000, 10, time.Minute), concurrency("key:a", 1))...)
		s.do("SCRIPT", "FLUSH")
		l.renew(t.Context())
		s.do("SCRIPT", "FLUSH")
		settled{l}.Settle(t.Context(), one)
		s.do("SCRIPT", "FLUSH") // of two tenants, in one pipeline
		settled{l}.Cancel(t.Context(), admit(t, l, -1, requests("key:a", 5, time.Minute), requests("key:b", 5, time.Minute)))
	}
	if got := admit(t, l, -1, requests("key:a", 5, time.Minute), tokens("key:a", 1000, 10, time.Minute)); got[0].Remaining != 4 {
		t.Errorf("%d remaining, want 4", got[0].Remaining)
	}
}

func TestAResetIsSeenAndALateSettlementChangesNothing(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	l.denials = newDenials(0)
	call := func() []gateway.Claim {
		return of("team:x", tokens("key:a", 1000, 300, time.Hour), requests("key:a", 3, time.Hour), requests("team:x", 20_000, time.Hour))
	}
	s.do("SET", "other", "untouched")
	for _, actual := range []int64{0, 100, 5000} {
		old := [][]gateway.Claim{admit(t, l, -1, call()...), admit(t, l, -1, call()...), admit(t, l, -1, call()...)}
		admit(t, l, 0, call()...)
		for _, key := range s.keys("rate_limit:*") {
			s.do("DEL", key)
		}
		old[0][0].Actual = actual
		settled{l}.Settle(t.Context(), old[0])
		if keys := s.keys("rate_limit:*"); len(keys) != 0 {
			t.Errorf("settling made %v", keys)
		}
		fresh := admit(t, l, -1, call()...)
		old[1][0].Actual = actual
		settled{l}.Settle(t.Context(), old[1])
		settled{l}.Cancel(t.Context(), old[2])
		got := admit(t, l, -1, call()...)
		if got[0].Remaining != 400 || got[1].Remaining != 1 || got[2].Remaining != 19_998 {
			t.Errorf("remaining %d, %d, %d; want 400, 1, 19998", got[0].Remaining, got[1].Remaining, got[2].Remaining)
		}
		settled{l}.Cancel(t.Context(), fresh)
		settled{l}.Cancel(t.Context(), got)
	}
	if got := s.do("GET", "other").Val(); got != "untouched" {
		t.Errorf("the reset has touched another key: %v", got)
	}
}

func TestLimitsOfSeveralTenantsAreGrantedTogetherOrNotAtAll(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	l.denials = newDenials(0)
	wide := func() []gateway.Claim {
		return append(of("team:x", requests("key:a", 9, time.Hour), tokens("team:x", 100, 10, time.Hour)),
			of("provider:p", requests("provider:p", 1, time.Hour))...)
	}
	admit(t, l, -1, wide()...)
	for range 3 {
		got := admit(t, l, 2, wide()...)
		if got[0].Remaining != 8 || got[1].Remaining != 90 || got[2].Remaining != 0 {
			t.Errorf("remaining %d, %d, %d; want 8, 90, 0", got[0].Remaining, got[1].Remaining, got[2].Remaining)
		}
	}
	if got := admit(t, l, -1, of("team:x", requests("key:a", 9, time.Hour))...); got[0].Remaining != 7 {
		t.Errorf("%d remaining, want 7", got[0].Remaining)
	}
}

func TestACallerWhoLeavesDoesNotLeaveADecisionHalfKnown(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	claims := []gateway.Claim{requests("key:a", 3, time.Minute)}
	if denied, err := l.Admit(ctx, claims); denied >= 0 || err != nil {
		t.Fatalf("denied %d, error %v", denied, err)
	}
	settled{l}.Cancel(ctx, claims)
	if got := admit(t, l, -1, requests("key:a", 3, time.Minute)); got[0].Remaining != 2 {
		t.Errorf("%d remaining, want 2", got[0].Remaining)
	}
}

func TestARingCostsNoMoreThanItsUse(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	clock := new(fakeClock)
	advance := withClock(t, l, clock)
	for range 3000 { // ten in the window at any time
		settled{l}.Settle(t.Context(), admit(t, l, -1, requests("key:a", 1000, 10*time.Minute)))
		advance(time.Minute)
	}
	if n, _ := s.do("STRLEN", "rate_limit:{key:a}:key:a:requests:600").Int(); n > 52+16*16 {
		t.Errorf("%d bytes, want 16 slots at most", n)
	}
}
