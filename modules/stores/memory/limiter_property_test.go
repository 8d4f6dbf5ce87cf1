package memory

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// comparison drives a limiter and the oracle through the same calls.
type comparison struct {
	limiter *Limiter
	oracle  *oracle
	clock   *fakeClock
	claims  *rapid.Generator[[]gateway.Claim]
	lengths []time.Duration
	// compare checks what the limiter decided.
	compare func(t *rapid.T, c *comparison, claims []gateway.Claim, denied int)

	open map[int][]gateway.Claim // calls in progress
}

func (c *comparison) now() time.Duration { return max(c.oracle.last, c.clock.Elapsed()) }

func (c *comparison) run(t *rapid.T) {
	c.clock = new(fakeClock)
	c.limiter = NewLimiter(WithClock(c.clock.Elapsed))
	c.oracle = &oracle{events: make(map[oracleWindow][]event)}
	c.open = make(map[int][]gateway.Claim)
	t.Repeat(map[string]func(*rapid.T){
		"admit": func(t *rapid.T) { c.admit(t, c.claims.Draw(t, "claims")) },
		"admit many": func(t *rapid.T) {
			claims := c.claims.Draw(t, "claims")
			for range rapid.IntRange(1, 12).Draw(t, "times") {
				c.admit(t, slices.Clone(claims))
			}
		},
		"come back": func(t *rapid.T) { c.comeBack(t, c.claims.Draw(t, "claims")) },
		"settle": func(t *rapid.T) {
			call := c.draw(t)
			claims := c.open[call]
			for i := range claims {
				claims[i].Actual = rapid.SampledFrom([]int64{0, 1, claims[i].Cost, 2 * claims[i].Cost, 40}).Draw(t, "actual")
			}
			c.limiter.Settle(t.Context(), claims)
			c.oracle.settle(call, claims, c.now())
			c.end(t, call)
		},
		"cancel": func(t *rapid.T) {
			call := c.draw(t)
			c.limiter.Cancel(t.Context(), c.open[call])
			c.oracle.cancel(call, c.open[call], c.now())
			c.end(t, call)
		},
		"advance": func(t *rapid.T) {
			length := rapid.SampledFrom(c.lengths).Draw(t, "window")
			c.clock.Advance(rapid.OneOf(
				rapid.SampledFrom([]time.Duration{0, 1, length / 60, length/60 + 1, length - 1, length, length + 1}),
				rapid.Map(rapid.Int64Range(0, int64(length)*2), func(n int64) time.Duration { return time.Duration(n) }),
			).Draw(t, "by"))
		},
		"put the clock back": func(t *rapid.T) {
			c.forget("nobody:") // tells every part of the limiter what time it was
			c.clock.Advance(-rapid.SampledFrom(c.lengths).Draw(t, "by"))
		},
		"forget": func(t *rapid.T) {
			c.forget(rapid.SampledFrom([]string{"", "key:", "key:a", "team:"}).Draw(t, "prefix"))
		},
	})
}

func (c *comparison) draw(t *rapid.T) int {
	if len(c.open) == 0 {
		t.Skip("no call in progress")
	}
	calls := make([]int, 0, len(c.open))
	for call := range c.open {
		calls = append(calls, call)
	}
	slices.Sort(calls)
	return rapid.SampledFrom(calls).Draw(t, "call")
}

// end checks that giving the same claims back once more does nothing: whatever it took would show later.
func (c *comparison) end(t *rapid.T, call int) {
	c.limiter.Settle(t.Context(), c.open[call])
	c.limiter.Cancel(t.Context(), c.open[call])
	delete(c.open, call)
}

func (c *comparison) forget(prefix string) {
	c.limiter.Forget(prefix)
	c.oracle.forget(prefix)
	c.oracle.last = c.now() + 1
}

func (c *comparison) admit(t *rapid.T, claims []gateway.Claim) int {
	denied, err := c.limiter.Admit(t.Context(), claims)
	if err != nil {
		t.Fatalf("admitting: %v", err)
	}
	if denied < 0 {
		c.open[c.oracle.admit(claims, c.now())] = claims
	} else {
		for i := range claims {
			if claims[i].RetryAfter > claims[denied].RetryAfter {
				t.Fatalf("claim %d takes longer than claim %d: %+v", i, denied, claims)
			}
		}
		again := slices.Clone(claims)
		deniedAgain, err := c.limiter.Admit(t.Context(), again)
		if err != nil || deniedAgain != denied || !slices.Equal(again, claims) {
			t.Fatalf("asking again gives %d, %v: %+v; was %d: %+v", deniedAgain, err, again, denied, claims)
		}
	}
	c.compare(t, c, claims, denied)
	return denied
}

// comeBack checks that a refused call is admitted after the wait it was told.
func (c *comparison) comeBack(t *rapid.T, claims []gateway.Claim) {
	denied := c.admit(t, claims)
	for _, claim := range claims {
		if denied < 0 || claim.Limit.Kind == gateway.LimitConcurrency || claim.Limit.N < 1 {
			return
		}
	}
	c.clock.Advance(claims[denied].RetryAfter)
	if denied := c.admit(t, slices.Clone(claims)); denied >= 0 {
		t.Fatalf("refused after the wait it was told: %+v", claims)
	}
}

func claimsOf(kinds []gateway.LimitKind, lengths []time.Duration, ns, costs []int64) *rapid.Generator[[]gateway.Claim] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gateway.Claim {
		limit := gateway.Limit{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			N:    rapid.SampledFrom(ns).Draw(t, "n"),
		}
		if limit.Kind != gateway.LimitConcurrency {
			limit.Window = rapid.SampledFrom(lengths).Draw(t, "window")
		}
		return gateway.Claim{
			Subject: rapid.SampledFrom([]string{"key:a", "key:b", "team:x"}).Draw(t, "subject"),
			Limit:   limit,
			Cost:    rapid.SampledFrom(costs).Draw(t, "cost"),
		}
	}), 1, 4)
}

func TestSmallLimitsOfRequestsAndConcurrencyAreExact(t *testing.T) {
	lengths := []time.Duration{1, 7, 100, time.Minute}
	rapid.Check(t, func(t *rapid.T) {
		c := comparison{
			claims: claimsOf([]gateway.LimitKind{gateway.LimitRequests, gateway.LimitRequests, gateway.LimitConcurrency},
				lengths, []int64{0, 1, 2, 3, 9, 40}, []int64{1, 1, 1, 3, 50}),
			lengths: lengths,
			compare: exactly,
		}
		c.run(t)
	})
}

// exactly checks that the limiter decided and reported just what the oracle would.
func exactly(t *rapid.T, c *comparison, claims []gateway.Claim, denied int) {
	wait := time.Duration(-1)
	wantDenied := -1
	for i, claim := range claims {
		w, n := windowOf(claim), claim.Limit.N
		used := c.oracle.used(w, c.now(), 0)
		var retryAfter time.Duration
		if denied >= 0 { // the oracle was not charged, so that it still stands as before the decision
			most := n - c.oracle.reservation(claims, w)
			switch fits := n >= 1 && used <= most; {
			case fits:
			case n < 1:
				retryAfter = claim.Limit.Window
			case w.kind != gateway.LimitConcurrency:
				retryAfter = c.oracle.freeAt(w, c.now(), most) - c.clock.Elapsed()
			}
			if refused := n < 1 || used > most; refused && retryAfter > wait {
				wantDenied, wait = i, retryAfter
			}
		} else if used > n {
			t.Fatalf("%d of %d in use after claim %d was granted: %+v", used, n, i, claims)
		}
		if claim.RetryAfter != retryAfter {
			t.Fatalf("retry after %v, want %v: claim %d of %+v", claim.RetryAfter, retryAfter, i, claims)
		}
		if want := max(n-used, 0); claim.Remaining != want {
			t.Fatalf("%d remaining, want %d: claim %d of %+v", claim.Remaining, want, i, claims)
		}
		var reset time.Duration
		if used > 0 && w.kind != gateway.LimitConcurrency {
			reset = c.oracle.freeAt(w, c.now(), max(min(used, n)-1, 0)) - c.clock.Elapsed()
		}
		if claim.Reset != reset {
			t.Fatalf("reset %v, want %v: claim %d of %+v", claim.Reset, reset, i, claims)
		}
	}
	if denied != wantDenied {
		t.Fatalf("denied %d, want %d: %+v", denied, wantDenied, claims)
	}
}

func TestBucketsNeverPassNAndReturnUnitsASixtiethLateAtMost(t *testing.T) {
	lengths := []time.Duration{1, 59, 119, 600, time.Minute, time.Hour + 1}
	rapid.Check(t, func(t *rapid.T) {
		c := comparison{
			claims: claimsOf([]gateway.LimitKind{gateway.LimitTokens},
				lengths, []int64{0, 1, 5, 40, 1000}, []int64{0, 1, 4, 30, 5000}),
			lengths: lengths,
			compare: conservatively,
		}
		c.run(t)
	})
}

func TestLimitsThatChangeBetweenExactAndBucketsKeepTheirPromise(t *testing.T) {
	lengths := []time.Duration{7, 119, 600, time.Minute}
	rapid.Check(t, func(t *rapid.T) {
		c := comparison{
			claims: claimsOf([]gateway.LimitKind{gateway.LimitRequests},
				lengths, []int64{1, 5, maxStamps - 1, maxStamps, maxStamps + 1, 25_000}, []int64{1, 3, 4000, 9999}),
			lengths: lengths,
			compare: conservatively,
		}
		c.run(t)
	})
}

// conservatively checks that the limiter stands between an exact one and an exact one whose windows are a
// sixtieth longer.
func conservatively(t *rapid.T, c *comparison, claims []gateway.Claim, denied int) {
	refusals := 0
	for i, claim := range claims {
		w, n := windowOf(claim), claim.Limit.N
		exact := c.oracle.used(w, c.now(), 0)
		stretched := c.oracle.used(w, c.now(), max(w.length/bucketCount, 1))
		if claim.Remaining > max(n-exact, 0) || claim.Remaining < max(n-stretched, 0) {
			t.Fatalf("%d remaining, want %d to %d: claim %d of %+v", claim.Remaining, max(n-stretched, 0), max(n-exact, 0), i, claims)
		}
		if denied < 0 && exact > n {
			t.Fatalf("%d of %d in use after claim %d was granted: %+v", exact, n, i, claims)
		}
		if n < 1 || stretched > n-c.oracle.reservation(claims, w) {
			refusals++
		}
	}
	if denied >= 0 && refusals == 0 {
		t.Fatalf("refused without need: %+v", claims)
	}
}
