package memory

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestMain(m *testing.M) {
	// The property tests are cheap, and it takes a long history to bring two mistakes together.
	for name, value := range map[string]string{"rapid.checks": "200", "rapid.steps": "60"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func limiterAndClock() (*Limiter, *fakeClock) {
	clock := new(fakeClock)
	return NewLimiter(WithClock(clock.Elapsed)), clock
}

func claim(subject string, kind gateway.LimitKind, n int64, window time.Duration, cost int64) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: kind, N: n, Window: window}, Cost: cost}
}

// admit makes a call with a single claim and returns it as the limiter left it.
func admit(t *testing.T, l *Limiter, c gateway.Claim) (gateway.Claim, bool) {
	t.Helper()
	claims := []gateway.Claim{c}
	denied, err := l.Admit(t.Context(), claims)
	if err != nil {
		t.Fatalf("admitting: %v", err)
	}
	return claims[0], denied < 0
}

func heapInUse() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestASubjectWithALargeLimitCostsLessThanAKilobyte(t *testing.T) {
	const keys = 10_000
	l, clock := limiterAndClock()
	subjects := make([]string, keys)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("key:%032d", i)
	}
	before := heapInUse()
	for range bucketCount + 1 {
		for _, subject := range subjects {
			if _, ok := admit(t, l, claim(subject, gateway.LimitRequests, 1_000_000, time.Hour, 1)); !ok {
				t.Fatal("refused")
			}
		}
		clock.Advance(time.Hour / bucketCount)
	}
	each := (heapInUse() - before) / keys
	t.Logf("%d bytes for each subject", each)
	if each > 1000 {
		t.Errorf("%d bytes for each subject, want at most 1000", each)
	}
	runtime.KeepAlive(l)
}

func TestASubjectSeldomSeenCostsLittle(t *testing.T) {
	const keys = 10_000
	l, _ := limiterAndClock()
	before := heapInUse()
	for i := range keys {
		admit(t, l, claim(fmt.Sprintf("ip:%d", i), gateway.LimitRequests, 10_000, time.Hour, 1))
	}
	if each := (heapInUse() - before) / keys; each > 500 {
		t.Errorf("%d bytes for each subject, want at most 500", each)
	}
	runtime.KeepAlive(l)
}

func TestDeadSubjectsDoNotPileUp(t *testing.T) {
	l, clock := limiterAndClock()
	const perMinute = 500
	most := 0
	for minute := range 200 {
		for i := range perMinute {
			admit(t, l, claim(fmt.Sprintf("ip:%d.%d", minute, i), gateway.LimitRequests, 10, time.Minute, 1))
			admit(t, l, claim(fmt.Sprintf("ip:%d.%d", minute, i), gateway.LimitTokens, 10, time.Second, 1))
		}
		clock.Advance(time.Minute)
		most = max(most, l.Subjects())
	}
	if most > 4*perMinute {
		t.Errorf("%d subjects in memory while %d are in use", most, perMinute)
	}
}

func TestServingOneSubjectDropsTheDeadBesideIt(t *testing.T) {
	l, clock := limiterAndClock()
	const peak = 20_000
	beside := l.shardIndex("key:alive")
	for i, made := 0, 0; made < peak; i++ {
		if subject := fmt.Sprintf("ip:%d", i); l.shardIndex(subject) == beside {
			admit(t, l, claim(subject, gateway.LimitRequests, 10, time.Minute, 1))
			made++
		}
	}
	clock.Advance(time.Hour)
	for range 2 * peak * sweepEvery {
		admit(t, l, claim("key:alive", gateway.LimitConcurrency, math.MaxInt64, 0, 1))
	}
	if got := l.Subjects(); got != 1 {
		t.Errorf("%d subjects in memory, want the one that is served", got)
	}
	if room := cap(l.shards[beside].order); room > peak/4 {
		t.Errorf("there is still room for %d subjects", room)
	}
}

func TestASubjectIsNotAPieceOfALargerText(t *testing.T) {
	l, _ := limiterAndClock()
	before := heapInUse()
	for i := range 20 {
		header := fmt.Sprintf("key:%d", i) + strings.Repeat(" ", 1<<20)
		admit(t, l, claim(header[:6], gateway.LimitRequests, 10, time.Hour, 1))
	}
	if grown := heapInUse() - before; grown > 1<<20 {
		t.Errorf("20 subjects keep %d bytes alive", grown)
	}
	runtime.KeepAlive(l)
}

func TestAnEmptyWindowGivesItsRingBack(t *testing.T) {
	s := &stamps{length: time.Minute}
	s.add(0, maxStamps)
	if len(s.ring) != maxStamps {
		t.Errorf("the ring holds %d stamps, want %d", len(s.ring), maxStamps)
	}
	s.expire(time.Minute - 1)
	if s.used() != maxStamps {
		t.Errorf("%d used, want %d", s.used(), maxStamps)
	}
	s.expire(time.Minute)
	if s.used() != 0 || len(s.ring) != 0 {
		t.Errorf("%d used in a ring of %d, want nothing", s.used(), len(s.ring))
	}
}

func TestUsageBeyondAnyMeasureDoesNotOpenTheLimit(t *testing.T) {
	l, clock := limiterAndClock()
	for range 3 {
		calls := make([][]gateway.Claim, 3)
		for i := range calls {
			calls[i] = []gateway.Claim{claim("key:a", gateway.LimitTokens, math.MaxInt64, time.Hour, 10)}
			if denied, err := l.Admit(t.Context(), calls[i]); denied >= 0 || err != nil {
				t.Fatalf("denied %d, error %v", denied, err)
			}
		}
		for _, claims := range calls {
			claims[0].Actual = math.MaxInt64
			l.Settle(t.Context(), claims)
		}
		if got, ok := admit(t, l, claim("key:a", gateway.LimitTokens, math.MaxInt64, time.Hour, 10)); ok || got.Remaining != 0 {
			t.Errorf("admitted: %v, remaining %d; want a full window", ok, got.Remaining)
		}
		clock.Advance(2 * time.Hour)
	}
}

func TestAnImpossibleUsageDoesNotReturnTheTokensOfOthers(t *testing.T) {
	l, _ := limiterAndClock()
	claims := []gateway.Claim{claim("key:a", gateway.LimitTokens, 100, time.Hour, 10)}
	if denied, err := l.Admit(t.Context(), claims); denied >= 0 || err != nil {
		t.Fatalf("denied %d, error %v", denied, err)
	}
	admit(t, l, claim("key:a", gateway.LimitTokens, 100, time.Hour, 30))
	claims[0].Actual = math.MinInt64
	l.Settle(t.Context(), claims)
	if got, _ := admit(t, l, claim("key:a", gateway.LimitTokens, 100, time.Hour, 1)); got.Remaining != 69 {
		t.Errorf("%d remaining, want 69", got.Remaining)
	}
}

func TestTheStrictestLimitOfAWindowSaysHowItIsCounted(t *testing.T) {
	l, clock := limiterAndClock()
	clock.Advance(1) // a bucket would count to its end
	for range 3 {
		claims := []gateway.Claim{
			claim("key:a", gateway.LimitRequests, 2*maxStamps, time.Hour, 1),
			claim("key:a", gateway.LimitRequests, 1, time.Hour, 1),
		}
		if denied, err := l.Admit(t.Context(), claims); denied >= 0 || err != nil {
			t.Fatalf("denied %d, error %v", denied, err)
		}
		if claims[1].Reset != time.Hour {
			t.Errorf("reset is %v, want an hour", claims[1].Reset)
		}
		clock.Advance(time.Hour)
	}
}

func TestForgettingEmptiesWindowsAndKeepsCallsInProgress(t *testing.T) {
	l, _ := limiterAndClock()
	call := func(key string) []gateway.Claim {
		claims := []gateway.Claim{
			claim(key, gateway.LimitRequests, 5, time.Hour, 1),
			claim(key, gateway.LimitTokens, 500, time.Hour, 100),
			claim(key, gateway.LimitConcurrency, 5, 0, 1),
		}
		if denied, err := l.Admit(t.Context(), claims); denied >= 0 || err != nil {
			t.Fatalf("denied %d, error %v", denied, err)
		}
		return claims
	}
	expect := func(claims []gateway.Claim, requests, tokens, slots int64) {
		t.Helper()
		if claims[0].Remaining != requests || claims[1].Remaining != tokens || claims[2].Remaining != slots {
			t.Errorf("remaining %d, %d, %d; want %d, %d, %d", claims[0].Remaining, claims[1].Remaining,
				claims[2].Remaining, requests, tokens, slots)
		}
	}
	first := call("key:a")
	call("team:x")
	l.Forget("key:")
	expect(call("key:a"), 4, 400, 3)
	expect(call("team:x"), 3, 300, 3)

	// The first call's reservation is forgotten: it must not give back what the second has taken.
	l.Settle(t.Context(), first)
	expect(call("key:a"), 3, 300, 3)

	l.Forget("")
	expect(call("team:x"), 4, 400, 2)
}

func TestAdmitAndSettleDoNotAllocate(t *testing.T) {
	l, _ := limiterAndClock()
	claims := benchmarkClaims("key:a", "key:a")
	allocations := testing.AllocsPerRun(1000, func() {
		if denied, err := l.Admit(t.Context(), claims); denied >= 0 || err != nil {
			t.Fatalf("denied %d, error %v", denied, err)
		}
		l.Settle(t.Context(), claims)
	})
	if allocations != 0 {
		t.Errorf("%v allocations for each call, want none", allocations)
	}
}
