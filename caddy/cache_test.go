package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Case 29 of the faults: identical calls in flight are one call upstream.
func TestAThousandIdenticalCallsAreOneCallUpstream(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		calls.Add(1)
		<-release
		answerWhole(w, answerText("one"))
	})
	p := start(t, site(up.provider(), "llm"), upKey)
	key := p.newKey(map[string]any{"name": "free", "limits": []string{}})
	var wg sync.WaitGroup
	var good atomic.Int32
	for range 1000 {
		wg.Go(func() {
			if got := p.do("POST", chatPath, key, chatBody("m", `,"temperature":0`)); got.Status == 200 && strings.Contains(got.Body, "one") {
				good.Add(1)
			}
		})
	}
	poll(t, 30e9, "all calls to wait", func() bool {
		return strings.Contains(p.do("GET", "/v1/metrics", "", "").Body, "\ngateway_requests_in_flight 1001\n")
	})
	close(release)
	wg.Wait()
	if calls.Load() != 1 || good.Load() != 1000 {
		t.Errorf("%d calls upstream, %d good answers", calls.Load(), good.Load())
	}
}

// Cases 66 to 68: no key ever sees another's answer, unless the config says so.
func TestAnswersAreSharedOnlyWithinTheirScope(t *testing.T) {
	for _, c := range []struct {
		scope       string
		mate, other string // what a key of the same team, and one of another, get
	}{
		{"key", "MISS", "MISS"}, {"team", "HIT", "MISS"}, {"shared", "HIT", "HIT"},
	} {
		t.Run(c.scope, func(t *testing.T) {
			p := start(t, site("\t\tprovider demo", "llm_keys\nllm_auth\nllm_rate_limit\nllm_cache {\n\tscope "+c.scope+"\n}\nllm_proxy"))
			mine := p.newKey(map[string]any{"name": "a", "team": "red"})
			mate := p.newKey(map[string]any{"name": "b", "team": "red"})
			other := p.newKey(map[string]any{"name": "c", "team": "blue"})
			body := chatBody("demo", `,"temperature":0`)
			for _, call := range []struct{ who, key, want string }{{"mine", mine, "MISS"}, {"mine again", mine, "HIT"}, {"a mate's", mate, c.mate}, {"another's", other, c.other}} {
				if got := p.do("POST", chatPath, call.key, body).Header.Get("X-Cache"); got != call.want {
					t.Errorf("%s: %s, want %s", call.who, got, call.want)
				}
			}
		})
	}
}

// Cases 71 and 76: one entry serves both forms, both ways.
func TestOneEntryServesBothForms(t *testing.T) {
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		calls.Add(1)
		if strings.Contains(body, `"stream":true`) {
			answerStream(w, "some ", "words ", "in pieces")
			return
		}
		answerWhole(w, answerText("some words in pieces"))
	})
	p := start(t, site(up.provider(), "llm"), upKey)
	for i, first := range []string{"", `,"stream":true,"stream_options":{"include_usage":true}`} {
		base := fmt.Sprintf(`,"temperature":0,"seed":%d`, i)
		if got := p.do("POST", chatPath, p.Key, chatBody("m", base+first)); got.Header.Get("X-Cache") != "MISS" || got.Status != 200 {
			t.Fatalf("first: %d %v", got.Status, got.Header)
		}
		whole := p.do("POST", chatPath, p.Key, chatBody("m", base))
		if whole.Header.Get("X-Cache") != "HIT" || !strings.Contains(whole.Body, `"content":"some words in pieces"`) || !strings.Contains(whole.Body, `"total_tokens":10`) {
			t.Errorf("whole: %v %s", whole.Header, whole.Body)
		}
		if whole.Header.Get("Age") != "0" && whole.Header.Get("Age") != "1" || !strings.HasPrefix(whole.Header.Get("Cache-Status"), "llm_cache; hit; ttl=3") {
			t.Errorf("headers of a hit: %v", whole.Header)
		}
		stream := p.do("POST", chatPath, p.Key, chatBody("m", base+`,"stream":true`))
		if stream.Header.Get("X-Cache") != "HIT" || !strings.HasSuffix(stream.Body, "data: [DONE]\n\n") || strings.Contains(stream.Body, `"usage"`) {
			t.Errorf("stream: %v %s", stream.Header, stream.Body)
		}
		counted := p.do("POST", chatPath, p.Key, chatBody("m", base+`,"stream":true,"stream_options":{"include_usage":true}`))
		if counted.Header.Get("X-Cache") != "HIT" || !strings.Contains(counted.Body, `"total_tokens":10`) {
			t.Errorf("stream with usage: %v %s", counted.Header, counted.Body)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls upstream", calls.Load())
	}
}

// Cases 73 and 74: only complete, good answers are kept.
func TestOnlyCompleteGoodAnswersAreKept(t *testing.T) {
	var answer atomic.Pointer[string]
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { answerWhole(w, *answer.Load()) })
	p := start(t, site(up.provider(), "llm"), upKey)
	body := chatBody("m", `,"temperature":0`)
	for name, text := range map[string]string{
		"no finish reason": `{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":null}]}`,
		"no choices":       `{"id":"1","object":"chat.completion","choices":[]}`,
		"an error":         `{"error":{"message":"sorry"}}`,
		"half of it":       `{"id":"1","object":"chat.completion","choices":[{"ind`,
	} {
		answer.Store(&text)
		p.do("POST", chatPath, p.Key, body)
		if got := p.do("POST", chatPath, p.Key, body).Header.Get("X-Cache"); got != "MISS" {
			t.Errorf("%s was kept: %s", name, got)
		}
	}
	good := answerText("fine")
	answer.Store(&good)
	p.do("POST", chatPath, p.Key, body)
	if got := p.do("POST", chatPath, p.Key, body).Header.Get("X-Cache"); got != "HIT" {
		t.Errorf("a good answer was not kept: %s", got)
	}
}

// Case 64: ten thousand different calls at once, and every answer is its own.
func TestEveryAnswerIsItsOwn(t *testing.T) {
	p := start(t, site("\t\tprovider demo", "llm"))
	key := p.newKey(map[string]any{"name": "free", "limits": []string{}})
	var wg sync.WaitGroup
	var next, wrong atomic.Int32
	for range 64 {
		wg.Go(func() {
			for n := next.Add(1); n <= 10_000; n = next.Add(1) {
				nonce := fmt.Sprintf("nonce-%d-end", n)
				extra := []string{"", `,"stream":true`, `,"temperature":0`, `,"temperature":0,"stream":true`}[n%4]
				got := p.do("POST", chatPath, key, fmt.Sprintf(`{"model":"demo","messages":[{"role":"user","content":%q}]%s}`, nonce, extra))
				if got.Status != 200 || !strings.Contains(got.Body, strings.TrimSuffix(nonce, "-end")) {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of 10,000 answers were wrong", wrong.Load())
	}
}

func TestCacheControlIsHonoured(t *testing.T) {
	p := start(t, site("\t\tprovider demo", "llm"))
	body := chatBody("demo", `,"temperature":0`)
	call := func(control string) response { return p.do("POST", chatPath, p.Key, body, "Cache-Control", control) }
	for _, step := range []struct {
		control string
		status  int
		cache   string
	}{
		{"only-if-cached", 504, "MISS"}, {"no-store", 200, "BYPASS"}, {"only-if-cached", 504, "MISS"}, {"", 200, "MISS"}, {"", 200, "HIT"}, {"no-cache", 200, "MISS"},
		{"max-age=60", 200, "HIT"}, {"no-store", 200, "BYPASS"}, {"only-if-cached", 200, "HIT"},
	} {
		if got := call(step.control); got.Status != step.status || got.Header.Get("X-Cache") != step.cache {
			t.Errorf("%q: %d %s, want %d %s", step.control, got.Status, got.Header.Get("X-Cache"), step.status, step.cache)
		}
	}
}

// stale_if_error: an answer past its time is better than none, and says what it is.
func TestAnExpiredAnswerIsServedWhereNoProviderAnswers(t *testing.T) {
	var down atomic.Bool
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answerWhole(w, answerText("kept"))
	})
	p := start(t, site(up.provider(), "llm_keys\nllm_auth\nllm_rate_limit\nllm_cache {\n\tttl 50ms\n\tstale_if_error 1h\n}\nllm_proxy"), upKey)
	for _, extra := range []string{"", `,"stream":true`} {
		down.Store(false)
		body := chatBody("m", `,"temperature":0`+extra)
		p.do("POST", chatPath, p.Key, body)
		down.Store(true)
		poll(t, 10e9, "the answer to be past its time", func() bool {
			got := p.do("POST", chatPath, p.Key, body)
			return got.Header.Get("X-Cache") == "STALE" && got.Status == 200 && strings.Contains(got.Body, "kept") &&
				got.Header.Get("Cache-Status") == "llm_cache; fwd=stale; fwd-status=503"
		})
		if got := p.do("POST", chatPath, p.Key, body, "Cache-Control", "max-age=0"); got.Status != 503 {
			t.Errorf("a client that wants it fresh got %d", got.Status)
		}
	}
}
