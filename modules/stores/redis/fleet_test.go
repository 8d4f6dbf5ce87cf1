package redis

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// admitted is a charge by the clock of the server.
type admittedAt struct{ at, units int64 }

// hammer has several limiters, as of as many gateways, ask for the same claim with eight callers each, until a time of several windows
// has passed since the first was admitted. It returns what was admitted.
func hammer(t *testing.T, url string, gateways int, claim gateway.Claim, lasts time.Duration) []admittedAt {
	t.Helper()
	var (
		mu    sync.Mutex
		all   []admittedAt
		group sync.WaitGroup
	)
	end := time.Now().Add(lasts)
	for range gateways {
		l := openLimiter(t, newClient(t, url, 10*time.Second, zap.NewNop()), Deny, nil)
		for range 8 {
			group.Go(func() {
				for time.Now().Before(end) {
					claims := []gateway.Claim{claim}
					denied, err := l.Admit(t.Context(), claims)
					if err != nil {
						t.Errorf("admitting: %v", err)
						return
					}
					if denied >= 0 {
						<-time.After(min(claims[0].RetryAfter, 5*time.Millisecond))
						continue
					}
					l.calls.mu.Lock()
					charged := l.calls.open[claims[0].Mark].windows[0]
					l.calls.mu.Unlock()
					mu.Lock()
					all = append(all, admittedAt{charged.at, charged.charge})
					mu.Unlock()
					claims[0].Actual = charged.charge
					l.Settle(t.Context(), claims)
				}
			})
		}
	}
	group.Wait()
	slices.SortFunc(all, func(a, b admittedAt) int { return int(a.at - b.at) })
	return all
}

func TestAFleetNeverPassesNInAnyWindowAndUsesItAll(t *testing.T) {
	for name, claim := range map[string]gateway.Claim{
		"exact":   requests("key:hot", 500, time.Second),
		"buckets": tokens("key:hot", 50_000, 100, time.Second),
		"small":   requests("key:hot", 3, 100*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			const windows = 4
			length := claim.Limit.Window.Microseconds()
			all := hammer(t, s.url(), 4, claim, windows*claim.Limit.Window+claim.Limit.Window/2)
			if len(all) == 0 {
				t.Fatal("nothing was admitted")
			}
			var most, used int64
			first := 0
			for _, a := range all {
				for used += a.units; all[first].at <= a.at-length; first++ {
					used -= all[first].units
				}
				most = max(most, used)
			}
			n := claim.Limit.N
			if most > n {
				t.Errorf("%d of %d in a window", most, n)
			}
			// An exact limiter admits n in each window. Buckets give back a sixtieth late, and a slow machine takes its time, so
			// that the last burst may not be over.
			span := all[len(all)-1].at - all[0].at
			whole := span / length
			var total int64
			for _, a := range all {
				if a.at < all[0].at+whole*length {
					total += a.units
				}
			}
			t.Logf("%d in the fullest window, %d of %d in %d ms", most, total, whole*n, whole*length/1000)
			if whole < windows-1 || float64(total) < 0.98*float64(whole*n) {
				t.Errorf("%d admitted in %d windows, want 98 %% of %d", total, whole, whole*n)
			}
		})
	}
}

func TestAFleetNeverPassesAConcurrencyLimit(t *testing.T) {
	s := startServer(t)
	var mu sync.Mutex
	inUse, most := 0, 0
	var group sync.WaitGroup
	var members []*Limiter
	for range 3 {
		l := openLimiter(t, s.patient(), Deny, nil)
		members = append(members, l)
		for range 8 {
			group.Go(func() {
				for range 100 {
					claims := []gateway.Claim{concurrency("key:hot", 4)}
					if denied, err := l.Admit(t.Context(), claims); err != nil {
						t.Errorf("admitting: %v", err)
						return
					} else if denied >= 0 {
						continue
					}
					mu.Lock()
					inUse++
					most = max(most, inUse)
					mu.Unlock()
					mu.Lock()
					inUse--
					mu.Unlock()
					l.Settle(t.Context(), claims)
				}
			})
		}
	}
	group.Wait()
	if most > 4 {
		t.Errorf("%d calls in progress, want 4 at most", most)
	}
	for _, l := range members {
		l.settler.flush()
	}
	if n, _ := s.do("ZCARD", "rate_limit:{key:hot}:key:hot:concurrency").Int(); n != 0 {
		t.Errorf("%d slots are held and nobody calls", n)
	}
}

func TestClaimsOfSeveralTenantsTakeOneScriptUnlessRedisKeepsThemApart(t *testing.T) {
	call := func() []gateway.Claim {
		return append(of("team:a", requests("key:1", 2, time.Hour), concurrency("team:a", 5)), requests("all", 20, time.Hour))
	}
	for name, test := range map[string]struct {
		start   func(t *testing.T) *server
		scripts int
	}{
		"a server": {func(t *testing.T) *server { return startServer(t) }, 1},
		"a cluster behind a plain address": {func(t *testing.T) *server {
			s := startServer(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(redistest.FreePort(t)))
			s.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
			await(t, "the cluster to be well", func() bool { return strings.Contains(s.do("CLUSTER", "INFO").String(), "cluster_state:ok") })
			return s
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.start(t)
			l := openLimiter(t, s.patient(), Deny, nil)
			admit(t, l, -1, call()...) // which loads the scripts, and meets the refusal of a cluster
			scripts := s.counting()
			claims := admit(t, l, -1, call()...)
			if got := scripts(); got != test.scripts {
				t.Errorf("%d scripts for a decision, want %d", got, test.scripts)
			}
			settled{l}.Settle(t.Context(), claims)
			if got := admit(t, l, 0, call()...); got[1].Remaining != 4 {
				t.Errorf("%d slots remain, want 4", got[1].Remaining)
			}
		})
	}
}

func TestAClusterDecidesOnAKeyAndItsTeamTogether(t *testing.T) {
	masters, url := redistest.StartCluster(t)
	l := openLimiter(t, newClient(t, url, 10*time.Second, zap.NewNop()), Deny, nil)
	l.denials = newDenials(0)
	await(t, "the cluster to answer", func() bool { return l.client.Ping(t.Context()) == nil })
	keys := 0
	for _, team := range []string{"team:a", "team:b", "team:c", "team:d"} {
		call := func() []gateway.Claim {
			return append(of(team, requests("key:1"+team, 3, time.Hour), tokens("key:1"+team, 1e6, 10, time.Hour), requests(team, 100_000, time.Hour), concurrency(team, 5)),
				of("provider:p", requests("provider:p", 10, time.Hour))...)
		}
		var open [][]gateway.Claim
		for range 3 {
			open = append(open, admit(t, l, -1, call()...))
			if team == "team:d" {
				break
			}
		}
		l.renew(t.Context())
		if team == "team:d" {
			got := admit(t, l, 4, call()...) // the provider's limit is reached, and what the team had granted is given back
			if got[0].Remaining != 2 || got[3].Remaining != 4 {
				t.Errorf("remaining %d and %d, want 2 and 4", got[0].Remaining, got[3].Remaining)
			}
		} else {
			admit(t, l, 0, call()...)
		}
		for _, claims := range open {
			claims[1].Actual = 4
			settled{l}.Settle(t.Context(), claims)
		}
		if got := admit(t, l, -1, of(team, tokens("key:1"+team, 1e6, 10, time.Hour), concurrency(team, 5))...); got[1].Remaining != 4 || got[0].Remaining != 1e6-10-4*int64(len(open)) {
			t.Errorf("remaining %d and %d", got[0].Remaining, got[1].Remaining)
		}
	}
	for _, master := range masters {
		if err := master.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		names, err := master.Keys(t.Context(), "rate_limit:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		keys += len(names)
		for _, name := range names {
			if ttl := master.PTTL(t.Context(), name).Val(); ttl <= 0 {
				t.Errorf("%s lives %v", name, ttl)
			}
		}
	}
	if keys != 4*4+1 {
		t.Errorf("%d keys, want 17", keys)
	}
	for _, team := range []string{"team:a", "team:b", "team:c", "team:d"} {
		admit(t, l, -1, of(team, requests(team, 100_000, time.Hour))...)
	}
}
