package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Cases 21 and 89: what is done to a key on one gateway holds on the others within a second.
func TestFleetAgreesOnKeysWithinASecond(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	members := f.joinMany(2)
	here, there := members[0], members[1]
	works := func(key string, status int) func() bool {
		return func() bool { return there.status(key) == status }
	}
	made := here.manage("POST", "", `{"name":"fresh","limits":[]}`)
	created := within(t, time.Second+busy, "a new key to work", works(made.Key, 200))

	rotated := here.manage("POST", made.ID+"/rotate", "")
	fresh := within(t, time.Second+busy, "the new secret to work", works(rotated.Key, 200))
	old := within(t, time.Second+busy, "the old secret to end", works(made.Key, 401))

	here.manage("PATCH", made.ID, `{"limits":["1/1h"]}`)
	limited := within(t, time.Second+busy, "the new limit to hold", works(rotated.Key, 429))

	here.manage("DELETE", made.ID, "")
	revoked := within(t, time.Second+busy, "the key to be refused", works(rotated.Key, 401))
	here.manage("POST", made.ID+"/activate", "")
	here.manage("PATCH", made.ID, `{"limits":[]}`)
	back := within(t, time.Second+busy, "the key to work again", works(rotated.Key, 200))
	here.manageDelete(made.ID)
	gone := within(t, time.Second+busy, "the deleted key to be refused", works(rotated.Key, 401))
	t.Logf("seen by the other gateway: created after %s, rotated %s, former secret refused %s, limited %s, revoked %s, activated %s, deleted %s",
		created, fresh, old, limited, revoked, back, gone)
}

// manageDelete deletes a key for good.
func (p *process) manageDelete(id string) {
	p.t.Helper()
	if got := p.do("DELETE", "/v1/api-keys/"+id+"?purge=true", p.Admin, ""); got.Status != 204 {
		p.t.Fatalf("deleting key %s: %d %s", id, got.Status, got.Body)
	}
}

// Case 91: without PostgreSQL, known keys work, and of an unknown one nobody says that it is wrong.
func TestFleetGoesOnWithoutPostgres(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	members := f.joinMany(3)
	teller := members[2]
	members = members[:2]
	known := members[0].manage("POST", "", `{"name":"known","limits":[]}`)
	doomed := members[0].manage("POST", "", `{"name":"doomed","limits":[]}`)
	hearOfAll(t, teller, members...)
	teller.stop()
	for _, p := range members {
		if p.status(known.Key) != 200 || p.status(doomed.Key) != 200 {
			t.Fatal("a key does not work")
		}
	}

	f.postgres.kill()
	var slowest time.Duration
	for i, p := range members {
		for range 3 {
			begin := time.Now()
			got := p.do("GET", "/v1/models", gateway.NewSecret(gateway.KeyPrefix), "")
			slowest = max(slowest, time.Since(begin))
			if got.Status != 503 || got.Header.Get("Retry-After") == "" {
				t.Errorf("gateway %d answered an unknown key %d with Retry-After %q", i, got.Status, got.Header.Get("Retry-After"))
			}
		}
		for range 20 {
			if status := p.status(known.Key); status != 200 {
				t.Fatalf("gateway %d answered a known key %d", i, status)
			}
		}
		if got := p.do("GET", "/v1/ready", "", ""); got.Status != 200 || !strings.Contains(got.Body, `"degraded"`) {
			t.Errorf("gateway %d says of itself: %d %s", i, got.Status, got.Body)
		}
		if got := p.do("DELETE", "/v1/api-keys/"+doomed.ID, p.Admin, ""); got.Status != 503 {
			t.Errorf("gateway %d revoked a key without a database: %d", i, got.Status)
		}
	}

	f.postgres.start()
	begin := time.Now()
	poll(t, 5*time.Second, "a key to be revoked", func() bool {
		return members[0].do("DELETE", "/v1/api-keys/"+doomed.ID, members[0].Admin, "").Status == 200
	})
	revoked := time.Since(begin)
	for _, p := range members {
		poll(t, 3*time.Second, "the key to be refused", func() bool { return p.status(doomed.Key) == 401 })
	}
	refused := time.Since(begin)
	for i, p := range members {
		poll(t, 3*time.Second, "an unknown key to be refused", func() bool { return p.status(gateway.NewSecret(gateway.KeyPrefix)) == 401 })
		poll(t, 3*time.Second, "the gateway to be well", func() bool { return strings.Contains(p.do("GET", "/v1/ready", "", "").Body, `"status":"ok"`) })
		if status := p.status(known.Key); status != 200 {
			t.Errorf("gateway %d answered the known key %d afterwards", i, status)
		}
	}
	t.Logf("an unknown key got its 503 within %s; after the server's return a key could be revoked after %s and was refused everywhere after %s",
		slowest.Round(time.Millisecond), revoked.Round(time.Millisecond), refused.Round(time.Millisecond))
}

// A key that a gateway knows works through several losses of PostgreSQL without being used between them; one that was revoked
// during a loss is refused as soon as the gateway has PostgreSQL back.
func TestFleetRemembersKeysThroughSeveralLossesOfPostgres(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	members := f.joinMany(2)
	p := members[0]
	known := p.manage("POST", "", `{"name":"known","limits":[]}`)
	doomed := p.manage("POST", "", `{"name":"doomed","limits":[]}`)
	hearOfAll(t, members[1], p)
	members[1].stop()
	for _, key := range []madeKey{known, doomed} {
		if status := p.status(key.Key); status != 200 {
			t.Fatalf("a key got %d", status)
		}
	}
	losses, returns := 0, 0
	lose := func() {
		f.postgres.kill()
		losses++
		poll(t, 5*time.Second, "the loss to be noticed", func() bool { return len(p.logged("the key store is out of reach")) == losses })
	}
	regain := func() {
		f.postgres.start()
		returns++
		poll(t, 5*time.Second, "the key store to be back", func() bool { return len(p.logged("the key store is back")) == returns })
	}
	for range 2 {
		lose()
		regain()
	}
	lose()
	poll(t, 5*time.Second, "the log to say that keys go on as they were last known", func() bool {
		if status := p.status(known.Key); status != 200 {
			t.Fatalf("a known key that was not used since the last loss got %d", status)
		}
		return len(p.logged("as they were last known")) > 0
	})

	f.postgres.elsewhere(func() { f.postgres.sql("UPDATE keys SET active = false WHERE id = '" + doomed.ID + "'") })
	if status := p.status(doomed.Key); status != 200 {
		t.Errorf("a key whose revocation nobody can know of got %d", status)
	}
	regain()
	if status := p.status(doomed.Key); status != 401 {
		t.Errorf("once PostgreSQL was back, a key that had been revoked meanwhile got %d", status)
	}
	if status := p.status(known.Key); status != 200 {
		t.Errorf("afterwards the known key got %d", status)
	}
	for text, times := range map[string]int{"as they were last known": 1, "the key store answers": 1, "the key store is out of reach": losses} {
		if told := len(p.logged(text)); told != times {
			t.Errorf("the log says %d times %q, want %d", told, text, times)
		}
	}
}

// hearOfAll waits until gateways have heard of all changes made so far, which they hear of in order, the last one from a gateway that is
// none of them. What a gateway knows of a key it forgets as it hears of a change, its own too; and what it was reading then it does not keep.
func hearOfAll(t *testing.T, teller *process, members ...*process) {
	t.Helper()
	last := teller.manage("POST", "", `{"name":"last"}`)
	for _, p := range members {
		poll(t, time.Second+busy, "a new key to be heard of", func() bool { return p.status(last.Key) == 200 })
	}
	teller.manage("DELETE", last.ID, "")
	for _, p := range members {
		poll(t, time.Second+busy, "a change to be heard of", func() bool { return p.status(last.Key) == 401 })
	}
}

// Gateways that are started for the first time at once, on an empty database, make its tables, one key and one admin credential.
func TestFleetThatStartsAtOnceMakesOneKey(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	members := make([]*process, 5)
	for i := range members {
		p := f.member("postgres")
		p.env = slices.DeleteFunc(p.env, func(variable string) bool { return strings.HasPrefix(variable, "GATEWAY_ADMIN_KEY=") })
		p.launch()
		members[i] = p
	}
	var keys, admins []string
	for _, p := range members {
		p.awaitStart()
		p.awaitFirstKey()
		for credential, shown := range map[string]*[]string{`gateway key +(sp_[0-9a-f]{64})`: &keys, `admin credential +(sa_[0-9a-f]{64})`: &admins} {
			for _, match := range regexp.MustCompile(credential).FindAllStringSubmatch(p.out.String(), -1) {
				*shown = append(*shown, match[1])
			}
		}
	}
	if len(keys) != 1 || len(admins) != 1 {
		t.Fatalf("%d keys and %d admin credentials were shown, want one each", len(keys), len(admins))
	}
	if count := f.postgres.sql("SELECT count(*) FROM keys"); count != "1" {
		t.Errorf("there are %s keys", count)
	}
	for i, p := range members {
		if status := p.status(keys[0]); status != 200 {
			t.Errorf("gateway %d answers the key with %d", i, status)
		}
		if got := p.do("GET", "/v1/api-keys/", admins[0], ""); got.Status != 200 {
			t.Errorf("gateway %d answers the admin with %d", i, got.Status)
		}
	}
}

// awaitFirstKey waits until a gateway has made the first key, or left it to another one. It answers before that, since Caddy starts apps
// in any order.
func (p *process) awaitFirstKey() {
	p.t.Helper()
	poll(p.t, 20*time.Second, "all apps to run", func() bool { return len(p.logged("serving initial configuration")) == 1 })
}

// Case 91: a gateway starts without PostgreSQL too, says so, and joins it when it comes.
func TestFleetStartsWithoutPostgres(t *testing.T) {
	redis := startRedis(t)
	f := &fleet{t: t, redis: redis, redisURL: redis.URL(), postgres: newPostgres(t), global: "\t\tprovider demo", chain: "llm"}
	p := f.join()
	if got := p.do("GET", "/v1/models", gateway.NewSecret(gateway.KeyPrefix), ""); got.Status != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("a key that nobody can check got %d with Retry-After %q", got.Status, got.Header.Get("Retry-After"))
	}
	if got := p.do("GET", "/v1/ready", "", ""); got.Status != 200 || !strings.Contains(got.Body, `"degraded"`) {
		t.Errorf("the gateway says of itself: %d %s", got.Status, got.Body)
	}
	f.postgres.start()
	shown := regexp.MustCompile(`gateway key +(sp_[0-9a-f]{64})`)
	took := within(t, 5*time.Second, "the first start's key", func() bool { return shown.MatchString(p.out.String()) })
	if status := p.status(shown.FindStringSubmatch(p.out.String())[1]); status != 200 {
		t.Errorf("the first start's key gets %d", status)
	}
	poll(t, 5*time.Second, "the gateway to be well", func() bool { return strings.Contains(p.do("GET", "/v1/ready", "", "").Body, `"status":"ok"`) })
	t.Logf("joined after %s", took)
}

// The embedded database moves to PostgreSQL, and running the command again changes nothing.
func TestFleetTakesTheKeysOfASingleGateway(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	single := f.joinAs("sqlite")
	single.awaitFirstKey()
	var made []madeKey
	for i := range 3 {
		made = append(made, single.manage("POST", "", fmt.Sprintf(`{"name":"key %d","team":"red","limits":["%d/1h"]}`, i, i+2)))
	}
	rotated := single.manage("POST", made[0].ID+"/rotate", `{"grace":"1h"}`)
	single.manage("DELETE", made[2].ID, "")
	single.manageTeam("POST", "", `{"name":"red","limits":["1000/1m"]}`)
	single.stop()
	for i, want := range []string{ // with the first start's key
		"1 teams copied, 0 were there already\n4 keys copied, 0 were there already",
		"0 teams copied, 1 were there already\n0 keys copied, 4 were there already",
	} {
		out, err := single.caddy("llm", "store", "migrate", "--to", "{env.DATABASE_URL}")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, want) {
			t.Errorf("run %d said %q, want %q", i+1, out, want)
		}
	}
	p := f.join()
	for what, c := range map[string]struct {
		key    string
		status int
	}{
		"a rotated key": {rotated.Key, 200}, "its former secret, in grace": {made[0].Key, 200}, "a key": {made[1].Key, 200}, "a revoked key": {made[2].Key, 401},
	} {
		if status := p.status(c.key); status != c.status {
			t.Errorf("%s gets %d, want %d", what, status, c.status)
		}
	}
	if limit := p.do("GET", "/v1/models", made[1].Key, "").Header.Get("X-RateLimit-Limit"); limit != "3" {
		t.Errorf("the key's limit is %q, want 3", limit)
	}
	if team := p.do("GET", "/v1/teams/red", p.Admin, ""); !strings.Contains(team.Body, `"limit":1000,"window":"1m"`) {
		t.Errorf("the team is %d %s", team.Status, team.Body)
	}
}
