package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Case 19: a thousand calls at once at a limit of a hundred are exactly a hundred successes.
func TestAThousandCallsAtOnceAtALimitOfAHundredAreAHundredSuccesses(t *testing.T) {
	p := start(t, standard(t))
	key := p.newKey(map[string]any{"name": "hundred", "limits": []string{"100/1h"}})
	var ok, refused, other atomic.Int32
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range 1000 {
		wg.Go(func() {
			<-gate
			got := p.do("POST", "/v1/analyze/", key, fmt.Sprintf(`{"prompt":"prompt %d"}`, i%50))
			switch got.Status {
			case http.StatusOK:
				ok.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	close(gate)
	wg.Wait()
	if ok.Load() != 100 || refused.Load() != 900 || other.Load() != 0 {
		t.Errorf("%d successes, %d refusals, %d others", ok.Load(), refused.Load(), other.Load())
	}
	if metrics := p.do("GET", "/v1/metrics", "", "").Body; !strings.Contains(metrics, `gateway_rate_limit_rejections_total{limit="requests",scope="key"} 900`) {
		t.Error("the metric of refusals is not 900")
	}
}

// Cases 9 and 20 to 25: a refusal says what was limited and when to come back.
func TestARefusalTellsTheLimitAndWhenToComeBack(t *testing.T) {
	p := start(t, standard(t))
	key := p.newKey(map[string]any{"name": "two", "limits": []string{"2/1h"}})
	for i := range 2 {
		got := p.do("GET", "/v1/models", key, "")
		if got.Status != 200 || got.Header.Get("X-RateLimit-Limit") != "2" || got.Header.Get("X-RateLimit-Remaining") != strconv.Itoa(1-i) {
			t.Fatalf("call %d: %d %v", i+1, got.Status, got.Header)
		}
	}
	got := p.do("POST", chatPath, key, chatBody("demo", ""))
	checkError(t, got, chatPath, 429, "rate_limit_exceeded", "")
	for name, want := range map[string]string{
		"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "0", "X-Ratelimit-Limit-Requests": "2", "X-Ratelimit-Remaining-Requests": "0",
		"RateLimit-Policy": `"requests";q=2;w=3600`,
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	wait, err := strconv.Atoi(got.Header.Get("Retry-After"))
	if err != nil || wait < 3590 || wait > 3600 {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	reset, err := strconv.ParseInt(got.Header.Get("X-RateLimit-Reset"), 10, 64)
	if left := time.Until(time.Unix(reset, 0)); err != nil || left < 3590*time.Second || left > 3602*time.Second {
		t.Errorf("X-RateLimit-Reset is %q", got.Header.Get("X-RateLimit-Reset"))
	}
	got = p.do("POST", "/v1/analyze/", key, `{"prompt":"a"}`)
	checkError(t, got, "/v1/analyze/", 429, "rate_limit_exceeded", "")
	for _, want := range []string{`"limit":2`, `"remaining":0`, `"reset_at":"`, `"scope":"key"`} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the details lack %s: %s", want, got.Body)
		}
	}
}

// The limits of the route and of the key both apply; a call that the later one refuses counts at neither.
func TestTheStrictestOfKeyAndRouteAnswers(t *testing.T) {
	p := start(t, site("\t\tprovider demo", "llm_keys\nllm_auth\n@batch header X-Priority batch\nllm_rate_limit @batch {\n\trequests 1 1h\n}\nllm_rate_limit {\n\trequests 3 1h\n}\nllm_proxy"))
	key := p.newKey(map[string]any{"name": "ten", "limits": []string{"10/1h"}})
	call := func(headers ...string) response { return p.do("POST", chatPath, key, chatBody("demo", ""), headers...) }
	if got := call("X-Priority", "batch"); got.Status != 200 {
		t.Fatalf("the first batch call: %d %s", got.Status, got.Body)
	}
	if got := call("X-Priority", "batch"); got.Status != 429 || !strings.Contains(got.Body, `"scope":"batch"`) {
		t.Errorf("the second batch call: %d %s", got.Status, got.Body)
	}
	for i := range 2 {
		if got := call(); got.Status != 200 {
			t.Errorf("plain call %d: %d %s", i+1, got.Status, got.Body)
		}
	}
	for range 3 {
		if got := call(); got.Status != 429 || !strings.Contains(got.Body, `"scope":"route"`) {
			t.Errorf("the fourth call on the route: %d %s", got.Status, got.Body)
		}
	}
	// Of the key's ten, three are used: the refused ones were given back.
	second := p.do("GET", "/v1/models", key, "")
	if second.Status != 429 {
		t.Fatalf("the route's limit is for all surfaces: %d", second.Status)
	}
}

// Cases 10 to 12 and 14: slots are as many as allowed at a time, whatever the outcome of a call.
func TestConcurrencyIsASlotForEachCallInProgress(t *testing.T) {
	var inside, most atomic.Int32
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		switch {
		case strings.Contains(body, "fail"):
			w.WriteHeader(500)
		case strings.Contains(body, `"stream":true`):
			answerStream(w, "x")
		default:
			answerWhole(w, answerText("x"))
		}
	})
	p := start(t, site(up.provider(), "llm_keys\nllm_auth\nllm_rate_limit {\n\tconcurrency 4\n}\nllm_proxy\nllm_health"), upKey)
	results := make(chan int, 50)
	for i := range 50 {
		go func() {
			extra := []string{"", `,"stream":true`, `,"fail":true`}[i%3]
			results <- p.do("POST", chatPath, p.Key, chatBody("m", extra)).Status
		}()
	}
	for range 46 { // all that are refused come back while four hold the slots
		if status := <-results; status != 429 {
			t.Errorf("a call beyond the slots got %d", status)
		}
	}
	for range 4 {
		<-arrived
	}
	close(release)
	for range 4 {
		if status := <-results; status == 429 {
			t.Error("a call with a slot was refused")
		}
	}
	if most.Load() != 4 {
		t.Errorf("%d calls were upstream at a time", most.Load())
	}
	for range 20 { // every slot came back
		if got := p.do("POST", chatPath, p.Key, chatBody("m", "")); got.Status != 200 {
			t.Fatalf("after all had ended: %d %s", got.Status, got.Body)
		}
	}
}

// Cases 4 to 8: tokens are reserved before a call and settled after it.
func TestTokensAreReservedAndSettled(t *testing.T) {
	p := start(t, site("\t\tprovider demo", "llm_keys\nllm_auth\nllm_rate_limit {\n\ttokens 300 1h\n}\nllm_proxy"))
	first := p.do("POST", chatPath, p.Key, chatBody("demo", ""))
	if first.Status != 200 {
		t.Fatalf("a first call without a cap: %d %s", first.Status, first.Body)
	}
	if got := p.do("POST", chatPath, p.Key, chatBody("demo", `,"max_tokens":1,"max_completion_tokens":5000`)); got.Status != 429 {
		t.Errorf("a call that may cost 5000 of 300: %d", got.Status)
	}
	used := 0
	for range 100 {
		got := p.do("POST", chatPath, p.Key, chatBody("demo", `,"max_tokens":20`))
		if got.Status == 429 {
			break
		}
		used++
	}
	if used < 3 || used > 15 {
		t.Errorf("%d calls of some 30 tokens fitted into what was left of 300", used)
	}
}
