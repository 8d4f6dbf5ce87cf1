package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// manageTeam makes a call about teams that must succeed.
func (p *process) manageTeam(method, name, body string) {
	p.t.Helper()
	if got := p.do(method, "/v1/teams/"+name, p.Admin, body); got.Status >= 300 {
		p.t.Fatalf("%s of team %s: %d %s", method, name, got.Status, got.Body)
	}
}

// inTeam is a new key of a team, without limits of its own.
func (p *process) inTeam(team string) madeKey {
	p.t.Helper()
	return p.manage("POST", "", fmt.Sprintf(`{"team":%q,"limits":[]}`, team))
}

// tally counts the statuses of many calls made at once, spread over gateways and keys.
func tally(members []*process, keys []string, calls int) map[int]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	counts := make(map[int]int)
	gate := make(chan struct{})
	for i := range calls {
		wg.Go(func() {
			<-gate
			status := members[i%len(members)].status(keys[i/len(members)%len(keys)])
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	close(gate)
	wg.Wait()
	return counts
}

func TestKeysOfATeamShareItsLimitExactly(t *testing.T) {
	p := start(t, standard(t))
	t.Cleanup(client.CloseIdleConnections) // its end waits for those on which nothing was sent yet
	one := []*process{p}
	p.manageTeam("POST", "", `{"name":"crimson","limits":["70/1h"]}`)
	a, b, other := p.inTeam("crimson"), p.inTeam("crimson"), p.inTeam("blue")
	keys := []string{a.Key, b.Key}
	if got := tally(one, keys, 200); got[200] != 70 || got[429] != 130 {
		t.Fatalf("200 calls at a limit of 70 gave %v", got)
	}
	refused := p.do("POST", "/v1/analyze/", b.Key, `{"prompt":"a"}`)
	checkError(t, refused, "/v1/analyze/", 429, "rate_limit_exceeded", "")
	if !strings.Contains(refused.Body, `"scope":"team"`) || refused.Header.Get("X-RateLimit-Limit") != "70" {
		t.Errorf("the refusal is %s with %v", refused.Body, refused.Header)
	}
	if p.status(other.Key) != 200 {
		t.Error("another team's key is refused")
	}

	// A change holds at once, and what was used stays used.
	p.manageTeam("PATCH", "crimson", `{"limits":["75/1h"]}`)
	if got := tally(one, keys, 50); got[200] != 5 || got[429] != 45 {
		t.Errorf("50 calls after 5 were added gave %v", got)
	}
	p.manageTeam("PATCH", "crimson", `{"limits":["1/1h"]}`)
	if got := tally(one, keys, 4); got[429] != 4 {
		t.Errorf("below what was used, 4 calls gave %v", got)
	}
	p.manageTeam("PATCH", "crimson", `{"limits":null}`)
	if got := tally(one, keys, 4); got[200] != 4 {
		t.Errorf("without a limit, 4 calls gave %v", got)
	}

	metrics := p.do("GET", "/v1/metrics", "", "").Body
	if !strings.Contains(metrics, `gateway_rate_limit_rejections_total{limit="requests",scope="team"} 180`) {
		t.Error("the metric of refusals is not 180")
	}
	if strings.Contains(metrics, "crimson") {
		t.Error("the team's name is in the metrics")
	}
}

// What an inactive team's key gets is, but for its id and time, what a revoked key gets.
func TestAnInactiveTeamsKeyIsRefusedLikeARevokedOne(t *testing.T) {
	p := start(t, standard(t))
	p.manageTeam("POST", "", `{"name":"red"}`)
	key, revoked := p.inTeam("red"), p.manage("POST", "", `{}`)
	p.manage("DELETE", revoked.ID, "")
	p.want(key.Key, true, "in an active team")
	p.manageTeam("PATCH", "red", `{"active":false}`)
	for _, path := range []string{"/v1/models", "/v1/analyze/providers"} {
		got := p.do("GET", path, key.Key, "", "X-Request-Id", "same")
		want := p.do("GET", path, revoked.Key, "", "X-Request-Id", "same")
		body, _, _ := strings.Cut(got.Body, `"timestamp"`)
		wantBody, _, _ := strings.Cut(want.Body, `"timestamp"`)
		if got.Status != 401 || want.Status != 401 || body != wantBody {
			t.Errorf("%s: an inactive team's key gets %d %s, a revoked one %d %s", path, got.Status, got.Body, want.Status, want.Body)
		}
	}
	p.manageTeam("PATCH", "red", `{"active":true}`)
	p.want(key.Key, true, "in a team that is active again")
}

// A data directory of the release that had no teams is taken over, and its keys may have a team then.
func TestADataDirectoryWithoutTeamsIsTakenOver(t *testing.T) {
	p := start(t, standard(t), "GATEWAY_ADMIN_KEY="+fleetAdmin)
	p.Admin = fleetAdmin
	p.stop()
	data := filepath.Join(p.Dir, "data")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := gateway.NewSecret(gateway.KeyPrefix)
	writeFormerDatabase(t, filepath.Join(data, "gateway.db"), gateway.HashKey(secret))
	p.run()

	p.want(secret, true, "after the upgrade")
	if got := p.do("GET", "/v1/models", secret, "").Header.Get("X-RateLimit-Limit"); got != "7" {
		t.Errorf("the key's limit is %q, want 7", got)
	}
	p.manageTeam("POST", "", `{"name":"red","limits":["1/1h"]}`)
	if got := []int{p.status(secret), p.status(secret)}; !slices.Equal(got, []int{200, 429}) {
		t.Errorf("once its team has a limit of one, the key gets %v", got)
	}
	p.manageTeam("PATCH", "red", `{"active":false}`)
	p.want(secret, false, "once its team is inactive")
}

// writeFormerDatabase makes a database of the second version of the schema, with a key of the team red.
func writeFormerDatabase(t *testing.T, path string, hash gateway.KeyHash) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	statements := []string{`PRAGMA user_version = 2`}
	for _, name := range []string{"0001_keys.sql", "0002_ledger.sql"} { // as they were released, since no such file ever changes
		text, err := os.ReadFile("../modules/stores/sqlite/schema/" + name)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, string(text))
	}
	statements = append(statements,
		`INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
			VALUES ('key_0123456789abcdef01234567', 'ci', 'red', '[{"kind":"requests","n":7,"window":3600}]', '[]', true, 1700000000, 0, 0)`,
		fmt.Sprintf(`INSERT INTO secrets (hash, key_id) VALUES (x'%x', 'key_0123456789abcdef01234567')`, hash))
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// The commands change what the running gateway does with the very next call.
func TestCommandsManageTeamsOfTheRunningGateway(t *testing.T) {
	p := start(t, standard(t))
	teams := func(args ...string) string {
		t.Helper()
		out, err := p.caddy(append([]string{"llm", "teams"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	teams("create", "red", "--limit", "1/1h")
	key := p.keys("create", "--name", "ci", "--team", "red")
	if first, second := p.status(key), p.status(key); first != http.StatusOK || second != http.StatusTooManyRequests {
		t.Errorf("two calls at a limit of one get %d and %d", first, second)
	}
	teams("update", "red", "--limit", "none")
	p.want(key, true, "without a limit")
	teams("update", "red", "--active=false")
	p.want(key, false, "in an inactive team")
	teams("update", "red", "--active")
	if _, err := p.caddy("llm", "teams", "delete", "red"); err == nil || !strings.Contains(err.Error(), "keys that are active") {
		t.Errorf("deleting a team in use: %v", err)
	}
	p.keys("revoke", p.keyID("ci"))
	if out := teams("delete", "red"); out != "red deleted\n" {
		t.Errorf("delete says %q", out)
	}
}
