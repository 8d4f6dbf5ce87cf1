package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Case 83: the passwords of Redis and PostgreSQL and the gateway's own credentials are in no log, config, metric, answer or dump, at
// debug level and with both servers down either.
func TestFleetKeepsItsSecrets(t *testing.T) {
	f := newFleet(t, newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { answerWhole(w, answerText("x")) }))
	// The site is the repository's own, whose access log leaves out what is secret in a request.
	_, chain, _ := strings.Cut(standard(t), "http://{$GATEWAY_ADDR::8000} {")
	f.chain = strings.TrimSuffix(strings.TrimSpace(chain), "}")
	p := f.member("postgres {env.DATABASE_URL}")
	text, err := os.ReadFile(filepath.Join(p.Dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	p.configure(strings.Replace(strings.Replace(string(text), "admin unix", "debug\n\tadmin unix", 1), "store redis {", "store redis {\nurl {env.REDIS_URL}", 1))
	p.run()
	p.awaitFeed()
	canary := p.manage("POST", "", `{"name":"canary","team":"red"}`)
	former := canary.Key
	canary = p.manage("POST", canary.ID+"/rotate", `{"grace":"1h"}`)

	var seen strings.Builder
	use := func() {
		for _, key := range []string{canary.Key, former, "sp_" + strings.Repeat("c0ffee00", 8)} {
			for _, body := range []string{chatBody("m", `,"temperature":0`), chatBody("m", `,"stream":true`)} {
				got := p.do("POST", chatPath, "", body, "X-API-Key", key)
				seen.WriteString(got.Body)
				got.Header.Write(&seen) //nolint:errcheck // a builder takes all
			}
		}
		for _, path := range []string{"/v1/health", "/v1/ready", "/v1/metrics", "/v1/api-keys/"} {
			got := p.do("GET", path, "", "", "X-API-Key", p.Admin)
			seen.WriteString(got.Body)
		}
	}
	use()
	f.redis.sh("redis-cli -p $PORT --rdb dump.rdb")
	rdb, err := os.ReadFile(filepath.Join(f.redis.Dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(rdb), "rate_limit:{") || !strings.Contains(string(rdb), "cache:1:") {
		t.Error("the dump holds no limits and answers")
	}
	dump := f.postgres.dump()
	if !strings.Contains(dump, canary.ID) {
		t.Error("the dump of the database does not hold the key")
	}
	config := adminAPI(t, p, "/config/")
	for _, placeholder := range []string{"{env.REDIS_URL}", "{env.DATABASE_URL}"} {
		if !strings.Contains(config, placeholder) {
			t.Errorf("the config does not show %s: %s", placeholder, config)
		}
	}
	use() // so that the keys are known, whatever the gateway has heard of their changes meanwhile
	f.redis.Kill()
	f.postgres.kill()
	poll(t, 10*time.Second, "the gateway to be without both", func() bool {
		use()
		return p.decidedBy("local") && len(p.logged("the key store is out of reach")) > 0
	})

	log := p.out.String()
	places := map[string]string{"an answer": seen.String(), "the log": log, "the config": config, "Redis": string(rdb), "PostgreSQL": dump}
	for what, secret := range map[string]string{"Redis's password": redisPassword, "PostgreSQL's password": postgresPassword,
		"the gateway key": canary.Key, "the former secret": former, "the admin credential": p.Admin} {
		hash := sha256.Sum256([]byte(secret))
		for place, text := range places {
			forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
			if place != "PostgreSQL" {
				forms = append(forms, hex.EncodeToString(hash[:]))
			}
			for _, form := range forms {
				if strings.Contains(text, form) {
					t.Errorf("%s is in %s: …%s…", what, place, around(text, form))
				}
			}
		}
	}
	t.Logf("looked for 5 secrets in %d bytes of log, %d of Redis, %d of PostgreSQL", len(log), len(rdb), len(dump))
}
