package ratelimit

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// inTeam is a key of a team, whose record has the given limits.
func inTeam(id, team string, limits ...gateway.Limit) *gateway.Key {
	return &gateway.Key{ID: id, Team: team, Active: true, TeamRecord: &gateway.Team{Name: team, Active: true, Limits: limits}}
}

func TestKeysOfATeamShareItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		limit := requests(3, time.Hour)
		a, b, other := inTeam("key_a", "red", limit), inTeam("key_b", "red", limit), inTeam("key_c", "blue", limit)
		for i, key := range []*gateway.Key{a, b, a} {
			if w := send(t, h, key, chatPath, question, uses(1)); w.Code != 200 {
				t.Fatalf("call %d is answered %d", i+1, w.Code)
			}
		}
		for _, key := range []*gateway.Key{a, b} {
			w := send(t, h, key, "/v1/analyze/", question, uses(1))
			if w.Code != 429 || !strings.Contains(w.Body.String(), `"scope":"team"`) || w.Header().Get("X-Ratelimit-Limit") != "3" {
				t.Errorf("%s is answered %d %s\n%s", key.ID, w.Code, w.Body, limits(w.Header()))
			}
		}
		if w := send(t, h, other, chatPath, question, uses(1)); w.Code != 200 {
			t.Errorf("a key of another team is answered %d", w.Code)
		}
		// A key that left the team leaves what it used to the others.
		moved := &gateway.Key{ID: "key_a", Active: true}
		if w := send(t, h, moved, chatPath, question, uses(1)); w.Code != 200 {
			t.Errorf("a key that left the team is answered %d", w.Code)
		}
	})
}

func TestAKeysLimitsAndItsTeamsAreOneDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		team := []gateway.Limit{requests(10, time.Hour), tokens(100_000, time.Hour)}
		strict, free := inTeam("key_a", "red", team...), inTeam("key_b", "red", team...)
		strict.Limits = []gateway.Limit{requests(2, time.Hour)}
		for i, want := range []int{200, 200, 429, 429} {
			w := send(t, h, strict, chatPath, question, uses(1))
			if w.Code != want || want == 429 && !strings.Contains(w.Body.String(), `"scope":"key"`) {
				t.Errorf("call %d is answered %d %s", i+1, w.Code, w.Body)
			}
		}
		// What the key's own limit refused counted nowhere: of the team's ten, eight are left.
		for i := range 8 {
			if w := send(t, h, free, chatPath, question, uses(1)); w.Code != 200 {
				t.Fatalf("call %d is answered %d %s", i+1, w.Code, w.Body)
			}
		}
		if w := send(t, h, free, chatPath, question, uses(1)); w.Code != 429 {
			t.Errorf("the eleventh call of the team is answered %d", w.Code)
		}
	})
}

func TestWhatATeamRefusesDoesNotCountForTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		key := inTeam("key_a", "red", requests(1, time.Hour))
		key.Limits = []gateway.Limit{requests(3, time.Hour)}
		for i, want := range []int{200, 429, 429, 429} {
			w := send(t, h, key, chatPath, question, uses(1))
			if w.Code != want || want == 429 && !strings.Contains(w.Body.String(), `"scope":"team"`) {
				t.Errorf("call %d is answered %d %s", i+1, w.Code, w.Body)
			}
		}
		key.TeamRecord.Limits = nil
		for i, want := range []int{200, 200, 429} { // with the first, the three that the key may make
			w := send(t, h, key, chatPath, question, uses(1))
			if w.Code != want || want == 429 && !strings.Contains(w.Body.String(), `"scope":"key"`) {
				t.Errorf("without the team's limit, call %d is answered %d %s", i+1, w.Code, w.Body)
			}
		}
	})
}

func TestTeamsTokensAndSlotsAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		team := []gateway.Limit{tokens(10_000, time.Hour), {Kind: gateway.LimitConcurrency, N: 1}}
		a, b := inTeam("key_a", "red", team...), inTeam("key_b", "red", team...)
		send(t, h, a, chatPath, question, func(w http.ResponseWriter, r *http.Request) error {
			if w := send(t, h, b, "/v1/analyze/", question, uses(0)); w.Code != 429 || !strings.Contains(w.Body.String(), `"kind":"concurrency"`) {
				t.Errorf("while the team's slot is taken, answered is %d %s", w.Code, w.Body)
			}
			return uses(70)(w, r)
		})
		w := send(t, h, b, "/v1/embeddings", `{"model":"demo-embedding","input":""}`, func(_ http.ResponseWriter, r *http.Request) error {
			if got := gateway.CallFrom(r).Claims[0].Remaining + 1; got != 9930 {
				t.Errorf("left are %d tokens, want 9930", got)
			}
			return nil
		})
		if w.Code != 200 {
			t.Errorf("after the call, answered is %d", w.Code)
		}
	})
}

func TestALimitThatIsLoweredHoldsForWhatWasUsedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		for range 3 {
			send(t, h, inTeam("key_a", "red", requests(10, time.Hour)), chatPath, question, uses(1))
		}
		if w := send(t, h, inTeam("key_a", "red", requests(3, time.Hour)), chatPath, question, uses(1)); w.Code != 429 {
			t.Errorf("answered is %d", w.Code)
		}
		if w := send(t, h, inTeam("key_a", "red", requests(4, time.Hour)), chatPath, question, uses(1)); w.Code != 200 {
			t.Errorf("answered is %d", w.Code)
		}
	})
}

// A zone may have the name of what keys and teams count by, and counts by itself.
func TestZonesNeverCountTogetherWithKeysAndTeams(t *testing.T) {
	for zone, by := range map[string]string{"team": "red", "key": "key_a", "zone": "red"} {
		synctest.Test(t, func(t *testing.T) {
			h := gatewayOf(t, `{}`, `{"zone":"`+zone+`","key":"`+by+`","limits":[{"kind":"requests","n":1,"window":"1h"}]}`)
			key := inTeam("key_a", "red", requests(1, time.Hour))
			key.Limits = []gateway.Limit{requests(1, time.Hour)}
			if w := send(t, h, key, chatPath, question, uses(1)); w.Code != 200 {
				t.Errorf("zone %s: the first call is answered %d %s", zone, w.Code, w.Body)
			}
		})
	}
}

// claimed are the subjects, tenants and scopes of a key's claims.
func claimed(t *testing.T, l *RateLimit, key *gateway.Key) []string {
	t.Helper()
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodGet, "/v1/models", nil)
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", key.ID)
	call := l.app.Enter(w, r)
	defer call.Leave()
	call.Key = key
	claims, err := l.claims(call, r)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, c := range claims {
		found[c.Subject+" "+c.Tenant+" "+c.Scope] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// A limiter on several machines decides on one tenant's claims in one step.
func TestAllClaimsOfATeamsKeyAreOneTenants(t *testing.T) {
	l := gatewayOf(t, `{"limits":[{"kind":"requests","n":1,"window":"1h"}]}`)[0]
	key := inTeam("key_a", "red", requests(1, time.Hour), requests(1, time.Minute))
	key.Limits = []gateway.Limit{requests(1, time.Hour)}
	want := []string{"key:key_a team:red key", "team:red team:red team", "zone:route:key_a team:red route"}
	if got := claimed(t, l, key); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	key.TeamRecord = nil // the team's name is the tenant all the same
	if got, want := claimed(t, l, key), []string{want[0], want[2]}; !slices.Equal(got, want) {
		t.Errorf("without a record: got %q, want %q", got, want)
	}
}

func TestATeamCostsACallNoAllocation(t *testing.T) {
	l := gatewayOf(t, `{}`)[0]
	allocations := func(key *gateway.Key) float64 {
		w := httptest.NewRecorder()
		r := gatewaytest.Request(w, http.MethodGet, "/v1/models", nil)
		call := l.app.Enter(w, r)
		defer call.Leave()
		call.Key = key
		return testing.AllocsPerRun(1000, func() {
			call.Limited = false
			if claims, err := l.claims(call, r); len(claims) == 0 || err != nil {
				t.Errorf("claims are %v, %v", claims, err)
			}
		})
	}
	with := inTeam("key_a", "red", requests(1, time.Hour))
	with.Limits = []gateway.Limit{requests(1, time.Hour), requests(1, time.Minute)}
	without := &gateway.Key{ID: "key_a", Team: "red", Limits: with.Limits}
	if a, b := allocations(with), allocations(without); a != b {
		t.Errorf("%v allocations with the team's limits, %v without", a, b)
	}
}
