package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
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
	l.Settle(t.Context(), claims)
	if got := since(); got > 3 { // one more, or two where the server had not seen the script
		t.Errorf("admitting and settling took %d operations, want 2", got)
	}
	since = s.counting()
	claims = admit(t, l, -1, of("team:x", requests("key:a", 100, time.Minute))...)
	l.Settle(t.Context(), claims)
	if got := since(); got != 1 {
		t.Errorf("a call with nothing to correct took %d operations, want 1", got)
	}
}

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
	l.Settle(t.Context(), call)
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
		for _, key := range s.keys("*") {
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
	l := openLimiter(t, s.patient(), Deny, nil)
	for i := range 200 {
		claims := of("team:x", requests("key:a", 150, time.Minute), tokens("key:a", 1e6, 10, time.Hour), requests("team:x", 100_000, 24*time.Hour),
			concurrency("key:a", 300), requests("key:a", []int64{150, 20_000}[i%2], 2*time.Minute))
		if denied, err := l.Admit(t.Context(), claims); err != nil {
			t.Fatal(err)
		} else if denied < 0 && i%3 == 0 {
			claims[1].Actual = int64(i)
			l.Settle(t.Context(), claims)
		} else if denied < 0 && i%3 == 1 {
			l.Cancel(t.Context(), claims)
		}
	}
	l.renew(t.Context())
	keys := s.keys("*")
	if len(keys) != 5 {
		t.Errorf("%d keys, want 5: %v", len(keys), keys)
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
		l.Settle(t.Context(), one)
		s.do("SCRIPT", "FLUSH") // of two tenants, in one pipeline
		l.Cancel(t.Context(), admit(t, l, -1, requests("key:a", 5, time.Minute), requests("key:b", 5, time.Minute)))
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
		l.Settle(t.Context(), old[0])
		if keys := s.keys("rate_limit:*"); len(keys) != 0 {
			t.Errorf("settling made %v", keys)
		}
		fresh := admit(t, l, -1, call()...)
		old[1][0].Actual = actual
		l.Settle(t.Context(), old[1])
		l.Cancel(t.Context(), old[2])
		got := admit(t, l, -1, call()...)
		if got[0].Remaining != 400 || got[1].Remaining != 1 || got[2].Remaining != 19_998 {
			t.Errorf("remaining %d, %d, %d; want 400, 1, 19998", got[0].Remaining, got[1].Remaining, got[2].Remaining)
		}
		l.Cancel(t.Context(), fresh)
		l.Cancel(t.Context(), got)
	}
	if got := s.do("GET", "other").Val(); got != "untouched" {
		t.Errorf("the reset has touched another key: %v", got)
	}
}

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
	l.Settle(t.Context(), ended)
	l.renew(t.Context())
	if n, _ := s.do("ZCARD", "rate_limit:{key:a}:key:a:concurrency").Int(); n != 1 {
		t.Errorf("%d slots in use, want 1", n)
	}
	l.endAgain(t.Context(), held)
	admit(t, l, -1, concurrency("key:a", 2))
	admit(t, l, 0, concurrency("key:a", 2))
	l.Settle(t.Context(), kept)
	admit(t, l, -1, concurrency("key:a", 2))
}

func TestNobodyRenewsWhereNobodyHoldsASlot(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	admit(t, l, -1, requests("key:a", 2, time.Minute))
	if l.calls.renewing {
		t.Error("somebody renews")
	}
	l.Settle(t.Context(), admit(t, l, -1, concurrency("key:a", 2)))
	if !l.calls.renewing || len(l.held()) != 0 {
		t.Errorf("renewing is %v, %d calls hold slots", l.calls.renewing, len(l.held()))
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

func TestTheErrorPolicyDecidesWhereRedisIsDown(t *testing.T) {
	s := startServer(t)
	s.kill()
	call := func() []gateway.Claim {
		return []gateway.Claim{requests("key:a", 2, time.Hour), concurrency("key:a", 9)}
	}

	deny := openLimiter(t, s.client(), Deny, nil)
	_, err := deny.Admit(t.Context(), call())
	var e *dialect.Error
	if !errors.As(err, &e) || e.HTTPStatus() != 503 || e.RetryAfter <= 0 {
		t.Errorf("error is %v, want a 503 that says when to come back", err)
	}

	allow := openLimiter(t, s.client(), Allow, nil)
	for range 5 {
		claims := admit(t, allow, -1, call()...)
		allow.Settle(t.Context(), claims)
	}

	local := openLimiter(t, s.client(), Local, memory.NewLimiter())
	for range 2 {
		local.Settle(t.Context(), admit(t, local, -1, call()...))
	}
	if got := admit(t, local, 0, call()...); got[0].RetryAfter <= 0 || got[1].Remaining != 9 {
		t.Errorf("claims say %+v", got)
	}
}

func TestAGatewayThatLosesRedisBeginsWithWhatItHasAdmitted(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.client(), Local, memory.NewLimiter())
	await(t, "redis", func() bool { return l.client.Ping(t.Context()) == nil })
	call := admit(t, l, -1, requests("key:a", 3, time.Hour), tokens("key:a", 100, 60, time.Hour))
	admit(t, l, -1, requests("key:a", 3, time.Hour))
	call[1].Actual = 10
	l.Settle(t.Context(), call)
	s.kill()
	if got := admit(t, l, -1, requests("key:a", 3, time.Hour), tokens("key:a", 100, 80, time.Hour)); got[0].Remaining != 0 || got[1].Remaining != 10 {
		t.Errorf("remaining %d and %d, want 0 and 10", got[0].Remaining, got[1].Remaining)
	}
	admit(t, l, 0, requests("key:a", 3, time.Hour))
}

func TestAKeyOfTheWrongTypeIsNoReasonToGiveRedisUp(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	s.do("LPUSH", "rate_limit:{key:a}:key:a:requests:60", "not ours")
	for range 2 * openAfter {
		if _, err := l.Admit(t.Context(), []gateway.Claim{requests("key:a", 3, time.Minute)}); err == nil {
			t.Fatal("admitted")
		}
	}
	admit(t, l, -1, requests("key:b", 3, time.Minute))
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
	l.Cancel(ctx, claims)
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
		l.Settle(t.Context(), admit(t, l, -1, requests("key:a", 1000, 10*time.Minute)))
		advance(time.Minute)
	}
	if n, _ := s.do("STRLEN", "rate_limit:{key:a}:key:a:requests:600").Int(); n > 52+16*16 {
		t.Errorf("%d bytes, want 16 slots at most", n)
	}
}

func TestAServerThatIsDownAtTheStartIsJoinedWhenItComes(t *testing.T) {
	s := startServer(t)
	s.kill()
	log, logs := observed()
	client := newClient(t, s.url(), DefaultTimeout, log)
	l := openLimiter(t, client, Local, memory.NewLimiter())
	for range 2 * openAfter {
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	if client.Up() {
		t.Error("the breaker is closed")
	}
	s.start()
	since := s.counting()
	await(t, "the limiter to ask redis", func() bool {
		admit(t, l, -1, requests("key:b", 100_000, time.Hour))
		return since() > 0 && client.Up()
	})
	if got := logs.FilterLevelExact(zap.WarnLevel).Len() + logs.FilterLevelExact(zap.InfoLevel).Len(); got != 2 {
		t.Errorf("%d lines in the log, want 2: %v", got, logs.All())
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
