package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// watched is a gateway with Redis and PostgreSQL, whose metrics have an address of their own as in fleet.Caddyfile.
type watched struct {
	*process
	fleet   *fleet
	metrics string
	limited string // a key that may make one call an hour
	key     string
}

// startWatched starts a gateway before providers that answer, fail, break off, refuse the gateway's credential and are not there.
func startWatched(t *testing.T) *watched {
	t.Helper()
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case r.URL.Path == "/v1/embeddings":
			answerWhole(w, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}`)
		case strings.Contains(body, "fail"):
			http.Error(w, `{"error":{"message":"I failed"}}`, http.StatusInternalServerError)
		case strings.Contains(body, "refuse"):
			http.Error(w, `{"error":{"message":"I do not know you"}}`, http.StatusUnauthorized)
		case strings.Contains(body, "break"):
			begin(w)(chunk("one"))
			panic(http.ErrAbortHandler)
		case strings.Contains(body, "linger"):
			begin(w)(chunk("one"))
			<-r.Context().Done()
		case strings.Contains(body, `"stream":true`):
			answerStream(w, "one", "two")
		default:
			answerWhole(w, answerText("whole"))
		}
	})
	f := newFleet(t, up)
	f.global = up.provider("models m") + fmt.Sprintf("\n\t\tprovider gone openai {\n\t\t\tbase_url http://127.0.0.1:%d/v1\n\t\t\tmodels g\n\t\t}", freePort(t)) +
		"\n\t\tprovider demo\n\t\tmodel fast {\n\t\t\ttarget gone/g\n\t\t\tfallback up/m\n\t\t}"
	f.chain = "llm_health\nllm_keys\nllm_auth\nllm_rate_limit {\n\trequests 1_000_000 1h\n\ttokens 1_000_000_000 1h\n\tconcurrency 1000\n}\nllm_analyze\nllm_cache\nllm_proxy {\n\ton_unsupported drop\n}"
	w := &watched{process: f.member("postgres"), fleet: f, metrics: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	w.configure(site(f.global+"\n\t\tdatabase postgres\n\t\tstore redis", f.chain) + "http://" + w.metrics + " {\n\tmetrics /metrics\n}\n")
	w.run()
	w.awaitFeed()
	w.key = w.newKey(map[string]any{"name": "well", "limits": []string{"1000000/1h"}})
	w.limited = w.newKey(map[string]any{"name": "poor", "limits": []string{"1/1h"}})
	return w
}

// round makes one call of each kind. n makes a question that nobody has asked.
func (w *watched) round(t *testing.T, n int) {
	fresh := fmt.Sprintf(`,"temperature":0,"seed":%d`, n)
	for _, call := range []struct {
		path, key, body string
		status          []int
	}{
		{chatPath, w.key, chatBody("m", `,"temperature":0`), []int{200}}, // a hit, from the second round on
		{chatPath, w.key, chatBody("m", fresh), []int{200}},
		{chatPath, w.key, chatBody("m", `,"stream":true`), []int{200}},
		{chatPath, w.key, chatBody("fast", fresh), []int{200}}, // by the fallback
		{chatPath, w.key, chatBody("g", fresh), []int{502, 503}},
		{chatPath, w.key, chatBody("m", `,"user":"fail"`), []int{502, 503}},
		{chatPath, w.key, chatBody("m", `,"user":"refuse"`), []int{502}},
		{chatPath, w.key, chatBody("m", `,"stream":true,"user":"break"`), []int{200}},
		{chatPath, w.key, chatBody("no-such-model-"+fmt.Sprint(n), fresh), []int{404}},
		{chatPath, "", chatBody("m", ""), []int{401}},
		{chatPath, w.limited, chatBody("m", `,"temperature":0`), []int{200, 429}},
		{messagesPath, w.key, messageBody("m", "hello", `,"top_k":5`), []int{200}}, // of which OpenAI's dialect has no such field
		{"/v1/embeddings", w.key, `{"model":"m","input":"x"}`, []int{200}},
		{"/v1/analyze/", w.key, fmt.Sprintf(`{"prompt":"Number %d","llm_provider":"demo"}`, n), []int{200}},
		{"/v1/analyze/", w.key, `{"prompt":""}`, []int{422}},
	} {
		resp, err := w.send(context.Background(), "POST", call.path, call.key, call.body)
		if err != nil {
			t.Errorf("%s %s: %v", call.path, call.body, err)
			continue
		}
		io.Copy(io.Discard, resp.Body) //nolint:errcheck // one of them breaks off
		resp.Body.Close()
		if !slices.Contains(call.status, resp.StatusCode) {
			t.Errorf("%s %s: %d, want one of %v", call.path, call.body, resp.StatusCode, call.status)
		}
	}
}

// quiet are panels that show what must not happen, and so zero.
var quiet = []string{"Lost and broken"}

// Everything that watches the gateway is fed by the gateway itself: a series that nobody makes would be a panel that stays empty, or
// an alert that never comes.
func TestEveryPanelAndRuleHasDataOfTheRealGateway(t *testing.T) {
	w := startWatched(t)
	p := startPrometheus(t, w.metrics)
	var rules []rule
	poll(t, 30*time.Second, "rules", func() bool { rules = p.rules(); return len(rules) > 0 })

	// wanted is each expression, and whether it has to be more than zero.
	wanted := make(map[string]bool)
	for _, r := range rules {
		if r.Type == "recording" {
			wanted[r.Name] = true
			continue
		}
		for _, series := range selectors(r.Query) {
			wanted[series] = wanted[series] || false
		}
	}
	for _, board := range dashboards(t) {
		for title, expressions := range board.expressions("5m") {
			for _, expression := range expressions {
				wanted[expression] = !slices.Contains(quiet, title)
			}
		}
	}
	if len(wanted) < 60 {
		t.Fatalf("there are only %d expressions to look at", len(wanted))
	}

	// One call is in progress all the time.
	lasting, leave := context.WithCancel(context.Background())
	defer leave()
	lingering, err := w.send(lasting, "POST", chatPath, w.key, chatBody("m", `,"stream":true,"user":"linger"`))
	if err != nil {
		t.Fatal(err)
	}
	defer lingering.Body.Close()
	rounds := 0
	poll(t, 60*time.Second, "traffic to be scraped", func() bool {
		w.round(t, rounds)
		rounds++
		return rounds >= 20 && len(p.query("gateway:cache_hit:ratio_rate1h > 0")) > 0
	})
	w.fleet.redis.Kill()
	for deadline := time.Now().Add(60 * time.Second); len(wanted) > 0 && time.Now().Before(deadline) && !t.Failed(); rounds++ {
		w.round(t, rounds)
		for expression, positive := range wanted {
			if values := p.query(expression); len(values) > 0 && (!positive || slices.Max(values) > 0) {
				delete(wanted, expression)
			}
		}
	}
	for expression, positive := range wanted {
		t.Errorf("after %d rounds there is nothing behind %s (wanted above zero: %t): %v", rounds, expression, positive, p.query(expression))
	}
	for _, r := range p.rules() {
		if r.Health != "ok" {
			t.Errorf("the rule %s is %s: %s", r.Name, r.Health, r.LastError)
		}
	}

	// The way to whoever is called: what needs no patience has fired by now.
	poll(t, 30*time.Second, "the alert to reach the pager", func() bool { return slices.Contains(p.alerts()["ProviderCredentialRefused"], "pager") })
	poll(t, 30*time.Second, "Redis to be found down", func() bool { return len(p.query(`ALERTS{alertname="RedisDown"}`)) > 0 })
	w.fleet.postgres.kill()
	poll(t, 30*time.Second, "PostgreSQL to be found down", func() bool { return len(p.query(`ALERTS{alertname="PostgresDown"}`)) > 0 })
	w.fleet.postgres.start()
	poll(t, 30*time.Second, "PostgreSQL to be back", func() bool { return slices.Equal(p.query(`gateway_store_up{store="postgres"}`), []float64{1}) })

	leave()
	resp, err := http.Get("http://" + w.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	check := exec.Command(tool(t, "promtool"), "check", "metrics")
	check.Stdin = resp.Body
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
