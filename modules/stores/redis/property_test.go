package redis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// comparison drives a limiter on a real server and the oracle through the same calls.
type comparison struct {
	server  *server
	client  *Client
	claims  *rapid.Generator[[]gateway.Claim]
	lengths []time.Duration
	// compare checks what the limiter decided.
	compare func(t *rapid.T, c *comparison, claims []gateway.Claim, denied int)
	// apart is whether Redis keeps tenants apart. Then the clock never goes back: a refusal leaves its time behind in the windows of
	// those that had granted it, of which the oracle knows nothing.
	apart bool

	limiter settled
	oracle  *oracle
	clock   *fakeClock
	advance func(time.Duration)
	open    map[int][]gateway.Claim // calls in progress
}

func (c *comparison) run(t *rapid.T) {
	c.server.do("FLUSHALL")
	c.limiter = settled{newLimiter(c.client, Deny, nil)}
	c.limiter.denials = newDenials(0)
	c.limiter.apart.Store(c.apart)
	defer c.limiter.Close()
	c.clock = new(fakeClock)
	c.advance = withClock(c.server.t, c.limiter.Limiter, c.clock)
	c.oracle, c.open = newOracle(), make(map[int][]gateway.Claim)
	actions := map[string]func(*rapid.T){
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
			c.oracle.settle(call, claims, c.clock.Elapsed())
			c.limiter.Settle(t.Context(), claims)
			c.end(t, call)
		},
		"cancel": func(t *rapid.T) {
			call := c.draw(t)
			c.oracle.cancel(call, c.open[call], c.clock.Elapsed())
			c.limiter.Cancel(t.Context(), c.open[call])
			c.end(t, call)
		},
		"advance": func(t *rapid.T) {
			length := rapid.SampledFrom(c.lengths).Draw(t, "window")
			c.advance(rapid.Map(rapid.OneOf(
				rapid.SampledFrom([]time.Duration{0, time.Microsecond, length / 60, length/60 + time.Microsecond, length - time.Microsecond, length, length + time.Microsecond}),
				rapid.Map(rapid.Int64Range(0, 2*length.Microseconds()), func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }),
			), wholeMicroseconds).Draw(t, "by"))
		},
		"reset": func(t *rapid.T) {
			for _, key := range c.server.keys("rate_limit:*") {
				if !strings.HasSuffix(key, string(gateway.LimitConcurrency)) {
					c.server.do("DEL", key)
				}
			}
			c.oracle.reset()
			c.clock.Advance(time.Microsecond) // no two commands of a server run at once
		},
	}
	if !c.apart {
		actions["put the clock back"] = func(t *rapid.T) {
			c.clock.Advance(-min(c.clock.Elapsed(), rapid.SampledFrom(c.lengths).Draw(t, "by")))
			c.limiter.renew(t.Context())
		}
	}
	t.Repeat(actions)
}

// wholeMicroseconds is what Redis knows of a time.
func wholeMicroseconds(d time.Duration) time.Duration { return d.Truncate(time.Microsecond) }

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

func (c *comparison) admit(t *rapid.T, claims []gateway.Claim) int {
	denied, err := c.limiter.Admit(t.Context(), claims)
	if err != nil {
		t.Fatalf("admitting: %v", err)
	}
	if denied < 0 {
		c.open[c.oracle.admit(claims, c.clock.Elapsed())] = claims
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
	c.advance(claims[denied].RetryAfter)
	if denied := c.admit(t, slices.Clone(claims)); denied >= 0 {
		t.Fatalf("refused after the wait it was told: %+v", claims)
	}
}

// claimsOf draws the claims of a call. Without a tenant, each subject is one of its own.
func claimsOf(tenant string, kinds []gateway.LimitKind, lengths []time.Duration, ns, costs []int64) *rapid.Generator[[]gateway.Claim] {
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
			Tenant:  tenant,
			Limit:   limit,
			Cost:    rapid.SampledFrom(costs).Draw(t, "cost"),
		}
	}), 1, 4)
}

// properties are for windows of a minute at least: keys expire by the server's own clock, however slowly a test goes.
var properties = []struct {
	name    string
	kinds   []gateway.LimitKind
	lengths []time.Duration
	ns      []int64
	costs   []int64
	compare func(*rapid.T, *comparison, []gateway.Claim, int)
}{
	{
		name:    "small limits of requests and concurrency are exact",
		kinds:   []gateway.LimitKind{gateway.LimitRequests, gateway.LimitRequests, gateway.LimitConcurrency},
		lengths: []time.Duration{time.Minute, time.Minute + time.Microsecond, 10 * time.Minute},
		ns:      []int64{0, 1, 2, 3, 9, 40},
		costs:   []int64{1, 1, 1, 3, 50},
		compare: exactly,
	},
	{
		name:    "buckets never pass n and return units a sixtieth late at most",
		kinds:   []gateway.LimitKind{gateway.LimitTokens},
		lengths: []time.Duration{time.Minute, time.Minute + 59*time.Microsecond, 10*time.Minute - time.Microsecond},
		ns:      []int64{0, 1, 5, 40, 1000},
		costs:   []int64{0, 1, 4, 30, 5000},
		compare: conservatively,
	},
	{
		name:    "limits that change between exact and buckets keep their promise",
		kinds:   []gateway.LimitKind{gateway.LimitRequests},
		lengths: []time.Duration{time.Minute, time.Minute + 59*time.Microsecond, 10*time.Minute - time.Microsecond},
		ns:      []int64{1, 5, exactUpTo - 1, exactUpTo, exactUpTo + 1, 25_000},
		costs:   []int64{1, 3, 4000, 9999},
		compare: conservatively,
	},
}

func TestProperties(t *testing.T) {
	s := startServer(t)
	for _, p := range properties {
		for name, test := range map[string]struct {
			tenant string
			apart  bool
		}{
			"of one tenant":                 {"team:x", false},
			"of several tenants":            {"", false},
			"of several tenants kept apart": {"", true},
		} {
			t.Run(p.name+", "+name, func(t *testing.T) {
				client := s.patient()
				rapid.Check(t, func(t *rapid.T) {
					c := comparison{server: s, client: client, lengths: p.lengths, compare: p.compare, apart: test.apart,
						claims: claimsOf(test.tenant, p.kinds, p.lengths, p.ns, p.costs)}
					c.run(t)
				})
			})
		}
	}
}

// exactly checks that the limiter decided and reported just what the oracle would.
func exactly(t *rapid.T, c *comparison, claims []gateway.Claim, denied int) {
	wait, wantDenied, clock := time.Duration(-1), -1, c.clock.Elapsed()
	for i := range claims {
		claim := &claims[i]
		w, n := keyed(claim), claim.Limit.N
		now := c.oracle.now(w, clock)
		used := c.oracle.used(w, now, 0)
		var retryAfter time.Duration
		if denied >= 0 { // the oracle was not charged, so that it still stands as before the decision
			most := n - reservation(claims, w)
			switch fits := n >= 1 && used <= most; {
			case fits:
			case n < 1:
				retryAfter = claim.Limit.Window
			case w.kind != gateway.LimitConcurrency:
				retryAfter = c.oracle.freeAt(w, now, most) - clock
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
			reset = c.oracle.freeAt(w, now, max(min(used, n)-1, 0)) - clock
		}
		if claim.Reset != reset {
			t.Fatalf("reset %v, want %v: claim %d of %+v", claim.Reset, reset, i, claims)
		}
	}
	if denied != wantDenied {
		t.Fatalf("denied %d, want %d: %+v", denied, wantDenied, claims)
	}
}

// conservatively checks that the limiter stands between an exact one and an exact one whose windows are a sixtieth longer.
func conservatively(t *rapid.T, c *comparison, claims []gateway.Claim, denied int) {
	refusals := 0
	for i := range claims {
		claim := &claims[i]
		w, n := keyed(claim), claim.Limit.N
		now := c.oracle.now(w, c.clock.Elapsed())
		exact := c.oracle.surely(w, now)
		stretched := c.oracle.used(w, now, max(w.length/60, time.Microsecond))
		if claim.Remaining > max(n-exact, 0) || claim.Remaining < max(n-stretched, 0) {
			t.Fatalf("%d remaining, want %d to %d: claim %d of %+v", claim.Remaining, max(n-stretched, 0), max(n-exact, 0), i, claims)
		}
		if denied < 0 && exact > n {
			t.Fatalf("%d of %d in use after claim %d was granted: %+v", exact, n, i, claims)
		}
		if n < 1 || stretched > n-reservation(claims, w) {
			refusals++
		}
	}
	if denied >= 0 && refusals == 0 {
		t.Fatalf("refused without need: %+v", claims)
	}
}
