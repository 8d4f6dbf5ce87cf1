package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	promptCanary = "canary of a prompt"
	answerCanary = "canary of an answer"
)

// tracingSite is a site with tracing, a store and handlers, whose provider down never answers. The model both leads there first.
func tracingSite(up *upstream, store, handlers string) string {
	global := store + up.provider() + "\n\t\tprovider down openai {\n\t\t\tbase_url " + up.URL + "/down\n\t\t\tapi_key {env.UP_KEY}\n\t\t}\n" +
		"\t\tmodel both {\n\t\t\ttarget down/x\n\t\t\tfallback up/y\n\t\t}"
	return site(global, "\ttracing {\n\t\tspan gateway\n\t\tspan_attributes {\n\t\t\tllm.key {http.llm.key}\n\t\t\tllm.cache {http.llm.cache}\n\t\t}\n\t}\n"+handlers)
}

// tracedUpstream answers with canaries, in the way that the prompt asks for.
func tracedUpstream(t *testing.T) *upstream {
	return newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/down/"):
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"message":"`+answerCanary+`"}}`) //nolint:errcheck // the gateway may be gone
		case strings.Contains(body, "echo"): // a provider that tells what it was sent
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"Incorrect API key provided: `+r.Header.Get("Authorization")+`"}}`) //nolint:errcheck
		case strings.Contains(body, "refuse"):
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"message":"`+promptCanary+` cannot be answered","type":"invalid_request_error"}}`) //nolint:errcheck
		case strings.Contains(body, "break"):
			begin(w)(chunk(answerCanary))
			panic(http.ErrAbortHandler)
		case strings.Contains(body, `"stream":true`):
			answerStream(w, answerCanary, "b")
		case r.URL.Path == "/v1/embeddings":
			answerWhole(w, `{"object":"list","model":"e-2026","data":[{"object":"embedding","index":0,"embedding":[0.25]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`)
		default:
			answerWhole(w, answerText(answerCanary))
		}
	})
}

// call sends a prompt as part of a client's trace.
func (c *collector) call(p *process, path, key, body string) (response, traceparent) {
	c.t.Helper()
	parent := traceparent{make([]byte, 16), make([]byte, 8)}
	rand.Read(parent.trace) //nolint:errcheck // never fails
	rand.Read(parent.span)  //nolint:errcheck
	return p.do("POST", path, key, body, "Traceparent", parent.String()), parent
}

// tracedPrompt is a chat call's body with the canary and more words.
func tracedPrompt(model, words, extra string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"%s %s"}]%s}`, model, promptCanary, words, extra)
}

// attemptOf are the attributes of an attempt at a provider of the upstream, without the server's port, with more.
func attemptOf(operation, provider, model string, stream bool, more map[string]any) map[string]any {
	attributes := map[string]any{
		"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, "gen_ai.request.model": model,
		"gen_ai.request.stream": stream, "server.address": "127.0.0.1",
	}
	maps.Copy(attributes, more)
	return attributes
}

func TestATraceTellsWhatBecameOfACall(t *testing.T) {
	up, c := tracedUpstream(t), newCollector(t)
	p := start(t, tracingSite(up, "", "llm"), append(c.env(), upKey)...)
	key := p.newKey(map[string]any{"name": "canary"})
	spent := p.newKey(map[string]any{"name": "spent", "limits": []string{"1/1h"}})
	p.do("POST", chatPath, spent, tracedPrompt("m", "spend", ""))

	answered := map[string]any{
		"gen_ai.response.model": "m-2026", "gen_ai.response.finish_reasons": []string{"stop"},
		"gen_ai.usage.input_tokens": int64(7), "gen_ai.usage.output_tokens": int64(3),
	}
	failed := func(kind string) map[string]any { return map[string]any{"error.type": kind} }
	broken := map[string]any{"gen_ai.response.model": "m-2026", "error.type": "llm_error"}
	const ok, bad = tracepb.Status_STATUS_CODE_UNSET, tracepb.Status_STATUS_CODE_ERROR
	type span struct {
		name       string
		attributes map[string]any
		status     tracepb.Status_StatusCode
	}
	accepted := span{"llm_auth", map[string]any{"llm_gateway.auth.outcome": "accepted"}, ok}
	admitted := span{"llm_rate_limit", map[string]any{"llm_gateway.limit.decision": "admitted"}, ok}
	miss := span{"llm_cache", map[string]any{"llm_gateway.cache.result": "miss"}, ok}
	hit := span{"llm_cache", map[string]any{"llm_gateway.cache.result": "hit"}, ok}
	refusedLimit := map[string]any{"llm_gateway.limit.decision": "refused", "llm_gateway.limit.scope": "key", "llm_gateway.limit.kind": "requests"}

	for _, tt := range []struct { // in this order
		name, path, key, body string
		status                int
		spans                 []span
	}{
		{"a miss", chatPath, key, tracedPrompt("m", "", `,"temperature":0`), 200,
			[]span{accepted, admitted, miss, {"chat m", attemptOf("chat", "up", "m", false, answered), ok}}},
		{"a hit", chatPath, key, tracedPrompt("m", "", `,"temperature":0`), 200, []span{accepted, admitted, hit}},
		{"not to be cached", chatPath, key, tracedPrompt("m", "", ""), 200,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", false, answered), ok}}},
		{"a stream", chatPath, key, tracedPrompt("m", "", `,"stream":true`), 200,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", true, answered), ok}}},
		{"a stream that breaks", chatPath, key, tracedPrompt("m", "break", `,"stream":true`), 200,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", true, broken), bad}}},
		{"a fallback", chatPath, key, tracedPrompt("both", "", ""), 200,
			[]span{accepted, admitted, {"chat x", attemptOf("chat", "down", "x", false, failed("llm_provider_unavailable")), bad}, {"chat y", attemptOf("chat", "up", "y", false, answered), ok}}},
		{"a provider that quotes its key", chatPath, key, tracedPrompt("m", "echo", ""), 502,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", false, failed("llm_authentication_error")), bad}}},
		{"a provider that quotes the prompt", chatPath, key, tracedPrompt("m", "refuse", ""), 400,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", false, failed("invalid_request")), bad}}},
		{"embeddings", "/v1/embeddings", key, `{"model":"e","input":"` + promptCanary + `"}`, 200,
			[]span{accepted, admitted, miss, {"embeddings e", attemptOf("embeddings", "up", "e", false, map[string]any{"gen_ai.response.model": "e-2026", "gen_ai.usage.input_tokens": int64(7), "gen_ai.usage.output_tokens": int64(0)}), ok}}},
		{"no key", chatPath, "", tracedPrompt("m", "", ""), 401, []span{{"llm_auth", map[string]any{"llm_gateway.auth.outcome": "refused"}, ok}}},
		{"an unknown key", chatPath, "sp_" + strings.Repeat("c0ffee00", 8), tracedPrompt("m", "", ""), 401, []span{{"llm_auth", map[string]any{"llm_gateway.auth.outcome": "refused"}, ok}}},
		{"a limit that is reached", chatPath, spent, tracedPrompt("m", "", ""), 429, []span{accepted, {"llm_rate_limit", refusedLimit, ok}}},
		{"a key in the place of a model", chatPath, key, tracedPrompt("up/"+key, "", ""), 404, []span{accepted, admitted}},
		{"a key in the query", chatPath + "?key=" + key, key, tracedPrompt("m", "", ""), 200,
			[]span{accepted, admitted, {"chat m", attemptOf("chat", "up", "m", false, answered), ok}}},
	} {
		got, parent := c.call(p, tt.path, tt.key, tt.body)
		if got.Status != tt.status {
			t.Fatalf("%s is answered with %d %s", tt.name, got.Status, got.Body)
		}
		trace := c.traced(parent)
		if code := attributesOf(trace.Attributes)["http.response.status_code"]; trace.Name != "gateway" || trace.Kind != tracepb.Span_SPAN_KIND_SERVER || code != int64(tt.status) {
			t.Errorf("%s: the server's span is %s, %s, with status code %v", tt.name, trace.Name, trace.Kind, code)
		}
		var want []string
		for _, s := range tt.spans {
			want = append(want, s.name)
		}
		if names := c.names(trace); !slices.Equal(names, want) {
			t.Errorf("%s: the spans are %q, want %q", tt.name, names, want)
			continue
		}
		for i, want := range tt.spans {
			span := trace.below[i]
			kind := tracepb.Span_SPAN_KIND_INTERNAL
			if want.attributes["gen_ai.operation.name"] != nil {
				kind = tracepb.Span_SPAN_KIND_CLIENT
			}
			if got := steady(t, span); !reflect.DeepEqual(got, want.attributes) || span.Status.GetCode() != want.status || span.Status.GetMessage() != "" || span.Kind != kind || len(span.Events) > 0 {
				t.Errorf("%s: %s has\n%v, %s, %s, %v, want\n%v, %s, %s", tt.name, span.Name, got, span.Status, span.Kind, span.Events, want.attributes, want.status, kind)
			}
		}
	}
	if c.from["service.name"] != "gateway-under-test" {
		t.Errorf("the resource is %v", c.from)
	}

	places := map[string]string{"the prompt": promptCanary, "the answer": answerCanary, "the provider's key": strings.TrimPrefix(upKey, "UP_KEY="), "the admin credential": p.Admin}
	for name, secret := range map[string]string{"the key": key, "the other key": spent} {
		hash := sha256.Sum256([]byte(secret))
		places[name], places[name+"'s hash"] = secret, hex.EncodeToString(hash[:])
	}
	exported := c.exported()
	for what, canary := range places {
		if bytes.Contains(exported, []byte(canary)) {
			t.Errorf("%s was exported", what)
		}
	}
	if !bytes.Contains(exported, []byte("llm_gateway.key.id")) {
		t.Error("what was looked through is not what was exported")
	}
}

// steady are a span's attributes without those that vary, which it must have as it should.
func steady(t *testing.T, span *tracepb.Span) map[string]any {
	t.Helper()
	attributes := attributesOf(span.Attributes)
	if took, ok := attributes["gen_ai.response.time_to_first_chunk"].(float64); ok != (attributes["gen_ai.request.stream"] == true) || took < 0 || took > 60 {
		t.Errorf("%s: the time to the first chunk is %v", span.Name, took)
	}
	if id, ok := attributes["llm_gateway.key.id"].(string); ok != (attributes["llm_gateway.auth.outcome"] == "accepted") || ok && !strings.HasPrefix(id, "key_") {
		t.Errorf("%s: the key is %q", span.Name, id)
	}
	if port, ok := attributes["server.port"].(int64); ok != (span.Kind == tracepb.Span_SPAN_KIND_CLIENT) || ok && port < 1 {
		t.Errorf("%s: the port is %d", span.Name, port)
	}
	for _, name := range []string{"gen_ai.response.time_to_first_chunk", "llm_gateway.key.id", "server.port"} {
		delete(attributes, name)
	}
	return attributes
}

func TestTheProviderContinuesTheTraceOfItsAttempt(t *testing.T) {
	up, c := tracedUpstream(t), newCollector(t)
	p := start(t, tracingSite(up, "", "llm"), append(c.env(), upKey)...)
	_, parent := c.call(p, chatPath, p.Key, tracedPrompt("both", "", ""))
	trace := c.traced(parent)
	requests := up.requests()
	if len(requests) != 2 {
		t.Fatalf("the upstream was asked %d times", len(requests))
	}
	for i, name := range []string{"chat x", "chat y"} {
		want := traceparent{parent.trace, c.span(trace, name).SpanId}.String()
		if got := requests[i].Header["Traceparent"]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: the upstream got %q, want %q", name, got, want)
		}
	}

	// Whoever asks for no trace gets none, and the upstream is told so.
	unsampled := strings.TrimSuffix(parent.String(), "1") + "0"
	p.do("POST", chatPath, p.Key, tracedPrompt("m", "", ""), "Traceparent", unsampled, "Baggage", "tenant="+promptCanary)
	header := up.requests()[2].Header
	if got := header.Get("Traceparent"); !strings.HasPrefix(got, unsampled[:35]) || !strings.HasSuffix(got, "-00") || header.Get("Baggage") != "" {
		t.Errorf("of a call that is not traced the upstream got %q, %q", got, header.Get("Baggage"))
	}
}

func TestTracingHoldsNoEventBack(t *testing.T) {
	read := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		send := begin(w)
		for range 3 {
			send(chunk("piece"))
			select {
			case <-read:
			case <-r.Context().Done():
				return
			}
		}
		send(chunkStop)
		send(chunkDone)
	})
	c := newCollector(t)
	p := start(t, tracingSite(up, "", "llm"), append(c.env(), upKey)...)
	resp, err := p.send(t.Context(), "POST", chatPath, p.Key, tracedPrompt("m", "", `,"stream":true`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for range 3 {
		if text := nextData(t, lines); !strings.Contains(text, "piece") {
			t.Fatalf("the event is %s", text)
		}
		read <- struct{}{} // only now does the upstream send the next
	}
}

// With Redis, one round trip may decide on a call and bring its answer. The trace has the same steps.
func TestATraceTellsOfAnswersAndFailuresInRedis(t *testing.T) {
	redis, up, c := startRedis(t), tracedUpstream(t), newCollector(t)
	caddyfile := tracingSite(up, "store redis {\ntimeout 1s\non_error deny\n}\n", "llm_health\nllm_auth\nllm_rate_limit\nllm_cache {\nscope shared\n}\nllm_proxy")
	env := append(c.env(), upKey, "REDIS_URL="+redis.URL())
	here, there := start(t, caddyfile, env...), start(t, caddyfile, env...)
	cached := func(p *process, words string) []any {
		t.Helper()
		got, parent := c.call(p, chatPath, p.Key, tracedPrompt("m", words, `,"temperature":0`))
		if got.Status != 200 {
			t.Fatalf("answered is %d %s", got.Status, got.Body)
		}
		trace := c.traced(parent)
		if names := c.names(trace); !slices.Equal(names[:3], []string{"llm_auth", "llm_rate_limit", "llm_cache"}) {
			t.Errorf("the spans are %q", names)
		}
		limit, look := c.span(trace, "llm_rate_limit"), c.span(trace, "llm_cache")
		return []any{attributesOf(limit.Attributes)["llm_gateway.limit.decision"], attributesOf(look.Attributes)["llm_gateway.cache.result"]}
	}
	cached(here, "one")
	cached(there, "two") // it learns that the cache comes behind the limits
	if got := cached(there, "one"); !slices.Equal(got, []any{"admitted", "hit"}) {
		t.Errorf("the other gateway's trace tells %q", got)
	}

	redis.Kill()
	var trace traceTree
	poll(t, 20e9, "a call that Redis cannot decide on", func() bool {
		got, parent := c.call(here, chatPath, here.Key, tracedPrompt("m", "", ""))
		trace = c.traced(parent)
		return got.Status == http.StatusServiceUnavailable
	})
	limit := c.span(trace, "llm_rate_limit")
	if got := attributesOf(limit.Attributes); !maps.Equal(got, map[string]any{"error.type": "store_unavailable"}) || limit.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || limit.Status.GetMessage() != "" {
		t.Errorf("without Redis the decision's span has %v, %s", got, limit.Status)
	}
	if bytes.Contains(c.exported(), []byte(redisPassword)) {
		t.Error("the password of Redis was exported")
	}
}

// Spans that wait in memory leave before the gateway does.
func TestTheLastSpansAreExportedAtTheEnd(t *testing.T) {
	up, c := tracedUpstream(t), newCollector(t)
	p := start(t, tracingSite(up, "", "llm"), append(c.env(), upKey, "OTEL_BSP_SCHEDULE_DELAY=600000")...)
	_, parent := c.call(p, chatPath, p.Key, tracedPrompt("m", "", ""))
	if bytes.Contains(c.exported(), parent.trace) {
		t.Fatal("the spans do not wait")
	}
	p.stop()
	if !bytes.Contains(c.exported(), parent.trace) {
		t.Error("the last spans are lost")
	}
}
