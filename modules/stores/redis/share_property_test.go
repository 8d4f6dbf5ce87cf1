package redis

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// divided is a fleet that loses Redis and has it back, one gateway at a time, and everything that it has admitted.
//
// Let each of G gateways know of all G, N be the limit and S = ceil(N/G) what a gateway may admit by itself. As a gateway decides by
// itself, what it has admitted in the window that ends then, by Redis and by itself, is S at most. In any window Redis admits N at
// most. So in any window
//
//	(1) a fleet admits no more than N + G·S,
//	(2) one that Redis has admitted nothing for in that window no more than G·S, which is less than N + G,
//	(3) one that lost Redis once and does not have it back no more than the sum of max(Rᵢ, S), where Rᵢ is what Redis has
//	    admitted in that window for gateway i: N + (G-1)·S at most.
//
// Units are those that calls reserve: one that uses more than its reservation exceeds a share as it exceeds a limit.
type divided struct {
	members []*Limiter
	clock   *fakeClock
	claim   gateway.Claim
	exact   bool // whether a call is refused only where it must be
	share   int64
	cut     []bool
	rejoins int
	all     []granted
}

type granted struct {
	at      time.Duration
	member  int
	units   int64
	byRedis bool
}

// within sums up what was admitted in the window that ends now.
func (d *divided) within(which func(granted) bool) (units int64) {
	for _, g := range d.all {
		if g.at > d.clock.Elapsed()-d.claim.Limit.Window && which(g) {
			units += g.units
		}
	}
	return units
}

func (d *divided) admit(t *rapid.T, i int) {
	claim := d.claim
	claim.Cost = rapid.SampledFrom([]int64{1, 1, 1, 2, 7, 2 * claim.Limit.N}).Draw(t, "cost")
	claims := []gateway.Claim{claim}
	denied, err := d.members[i].Admit(t.Context(), claims)
	if err != nil {
		t.Fatalf("admitting: %v", err)
	}
	limit := claim.Limit.N
	if d.cut[i] {
		limit = d.share
	}
	charge := min(claim.Cost, limit)
	own := d.within(func(g granted) bool { return g.member == i })
	if denied >= 0 {
		if d.cut[i] && d.exact && own+charge <= limit {
			t.Fatalf("gateway %d refused %d with %d in use of %d", i, charge, own, limit)
		}
		return
	}
	if d.cut[i] && own+charge > limit {
		t.Fatalf("gateway %d admitted %d with %d in use of %d", i, charge, own, limit)
	}
	d.all = append(d.all, granted{d.clock.Elapsed(), i, charge, !d.cut[i]})
	d.check(t)
}

// check holds the bounds against the window that ends now; every other has less in it than the one that ends with its last admission.
func (d *divided) check(t *rapid.T) {
	n, g := d.claim.Limit.N, int64(len(d.members))
	total := d.within(func(granted) bool { return true })
	byRedis := d.within(func(g granted) bool { return g.byRedis })
	if byRedis > n {
		t.Fatalf("Redis admitted %d of %d", byRedis, n)
	}
	if bound := n + g*d.share; total > bound {
		t.Fatalf("%d admitted by %d gateways, want %d at most", total, g, bound)
	}
	if byRedis == 0 && (total > g*d.share || total >= n+g) {
		t.Fatalf("%d admitted without Redis by %d gateways, want %d at most", total, g, g*d.share)
	}
	if d.rejoins > 0 {
		return
	}
	bound := int64(0)
	for i, cut := range d.cut {
		own := d.within(func(g granted) bool { return g.member == i && g.byRedis })
		if cut {
			own = max(own, d.share)
		}
		bound += own
	}
	if total > bound || total > n+(g-1)*d.share {
		t.Fatalf("%d admitted by %d gateways that lost Redis once, want %d at most", total, g, bound)
	}
}

func TestGatewaysThatAreCutOffFromRedisAdmitTheirSharesAndNoMore(t *testing.T) {
	s := startServer(t)
	var clients []*Client
	for range 5 {
		clients = append(clients, s.patient())
	}
	for name, test := range map[string]struct {
		kind  gateway.LimitKind
		ns    []int64
		exact bool
	}{
		"exact windows":                             {gateway.LimitRequests, []int64{1, 2, 3, 5, 10, 31}, true},
		"windows in sixtieths":                      {gateway.LimitTokens, []int64{1, 5, 40, 1000}, false},
		"windows whose share has a form of its own": {gateway.LimitRequests, []int64{exactUpTo + 1, exactUpTo + 7}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s.do("FLUSHALL")
				n, window := rapid.SampledFrom(test.ns).Draw(t, "n"), time.Minute
				d := &divided{clock: new(fakeClock), exact: test.exact,
					claim: gateway.Claim{Subject: "key:a", Tenant: "team:x", Limit: gateway.Limit{Kind: test.kind, N: n, Window: window}}}
				gateways := rapid.IntRange(1, len(clients)).Draw(t, "gateways")
				d.share = (n + int64(gateways) - 1) / int64(gateways)
				d.cut = make([]bool, gateways)
				for i := range gateways {
					clients[i].breaker.stage.Store(int32(stageClosed))
					l := newLimiter(clients[i], Local, memory.NewLimiter(memory.WithClock(d.clock.Elapsed)))
					defer l.Close()
					l.denials = newDenials(0)
					l.fleet.joining.Do(func() {})
					l.clock, l.faked = d.clock.Elapsed, true
					d.members = append(d.members, l)
				}
				for range 2 { // the second time, all have left their signs
					for i, l := range d.members {
						if err := clients[i].Do(t.Context(), l.fleet.beat); err != nil {
							t.Fatalf("leaving a sign of life: %v", err)
						}
					}
				}
				one := rapid.IntRange(0, gateways-1)
				t.Repeat(map[string]func(*rapid.T){
					"admit": func(t *rapid.T) { d.admit(t, one.Draw(t, "gateway")) },
					"admit many": func(t *rapid.T) {
						i := one.Draw(t, "gateway")
						for range rapid.IntRange(2, 20).Draw(t, "times") {
							d.admit(t, i)
						}
					},
					"lose Redis": func(t *rapid.T) {
						i := one.Draw(t, "gateway")
						d.cut[i] = true
						clients[i].breaker.stage.Store(int32(stageOpen))
					},
					"all lose Redis": func(*rapid.T) {
						for i := range d.cut {
							d.cut[i] = true
							clients[i].breaker.stage.Store(int32(stageOpen))
						}
					},
					"have Redis back": func(t *rapid.T) {
						i := one.Draw(t, "gateway")
						if d.cut[i] && rapid.IntRange(0, 3).Draw(t, "seldom") == 0 {
							d.cut[i] = false
							d.rejoins++
							clients[i].breaker.stage.Store(int32(stageClosed))
						}
					},
					"let time pass": func(t *rapid.T) {
						d.clock.Advance(rapid.SampledFrom([]time.Duration{time.Microsecond, window / 60, window / 3, window - time.Microsecond, window}).Draw(t, "by"))
					},
				})
			})
		})
	}
}
