package analyze

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestAPromptBecomesData(t *testing.T) {
	h := newHandler(t, demoOnly, `{}`)
	w := serve(t, h, post("/v1/analyze/", `{"prompt":"Translate Hello World to French"}`), says("no JSON", goodData))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if got["llm_provider"] != "demo" || got["tokens_used"] != 42.0 || got["cached"] != false || got["validated"] != true ||
		got["request_id"] != w.Header().Get("X-Request-Id") {
		t.Errorf("got %s", w.Body)
	}
	if _, ok := got["raw_output"]; ok {
		t.Error("the model's text came unasked")
	}
	w = serve(t, h, post("/v1/analyze?include_raw=true", `{"prompt":"x"}`), says(goodData))
	if !strings.Contains(w.Body.String(), `"raw_output":"{`) {
		t.Errorf("got %s", w.Body)
	}
}

func TestTheCallIsToldHowToGoOn(t *testing.T) {
	h := newHandler(t, demoOnly, `{}`)
	body := `{"prompt":"hi","cache_ttl":60,"max_tokens":500,"metadata":{"secret":"only for the log"}}`
	serve(t, h, post("/v1/analyze/", body), func(_ http.ResponseWriter, r *http.Request) error {
		call := gateway.CallFrom(r)
		if call.CacheTTL == nil || *call.CacheTTL != time.Minute || !call.Repeatable || call.MaxTokens != 500 ||
			call.InputTokens < 100 || call.Model != "demo" || call.Route == nil || call.Stream {
			t.Errorf("got %+v", call)
		}
		native, err := call.Native()
		if err != nil {
			t.Error(err)
		}
		for _, b := range [][]byte{native, call.CacheBody} {
			if strings.Contains(string(b), "secret") || strings.Contains(string(b), "cache_ttl") {
				t.Errorf("what concerns the gateway only is in %s", b)
			}
		}
		return nil
	})
}

func TestABadRequestGoesNoFurther(t *testing.T) {
	h := newHandler(t, demoOnly, `{}`)
	tests := []struct {
		name, body  string
		status      int
		kind, field string
	}{
		{"no JSON", `{"prompt":`, 400, "invalid_json", ""},
		{"a list", `[1]`, 400, "invalid_json", ""},
		{"no prompt", `{}`, 422, "validation_error", "prompt"},
		{"a member twice", `{"prompt":"a","prompt":"b"}`, 422, "validation_error", "prompt"},
		{"a bad schema", `{"prompt":"a","schema_definition":{"type":1}}`, 422, "validation_error", "schema_definition"},
		{"an unknown provider", `{"prompt":"a","llm_provider":"x"}`, 422, "validation_error", "llm_provider"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkFailure(t, serve(t, h, post("/v1/analyze/", test.body), nil), test.status, test.kind, test.field)
		})
	}
}

func checkFailure(t *testing.T, w *httptest.ResponseRecorder, status int, kind, field string) {
	t.Helper()
	var got struct {
		Error     struct{ Type, Message, Field string }
		RequestID string `json:"request_id"`
		Timestamp time.Time
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != status || got.Error.Type != kind || got.Error.Field != field || got.Error.Message == "" || got.RequestID == "" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAKeyNeedsPermissionForTheModelThatItAsks(t *testing.T) {
	h := newHandler(t, threeProviders, `{}`)
	try := func(provider string, next caddyhttp.HandlerFunc) *httptest.ResponseRecorder {
		r := post("/v1/analyze/", `{"prompt":"a","llm_provider":"`+provider+`"}`)
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, make(map[string]any)))
		w := httptest.NewRecorder()
		call := h.app.Enter(w, r) // as llm_auth does
		defer call.Leave()
		call.Key = &gateway.Key{ID: "key_1", Active: true, Models: []string{"fast", "sonnet"}}
		if err := h.ServeHTTP(w, r, next); err != nil {
			t.Fatal(err)
		}
		return w
	}
	for _, allowed := range []string{"fast", "claude", "auto"} {
		if w := try(allowed, says(goodData)); w.Code != 200 {
			t.Errorf("%s: %d %s", allowed, w.Code, w.Body)
		}
	}
	unreached := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { t.Error("the call went on"); return nil })
	checkFailure(t, try("gpt-4", unreached), 403, "permission_error", "llm_provider")
}

func TestAWrongMethodIsToldTheRightOne(t *testing.T) {
	h := newHandler(t, demoOnly, `{}`)
	for _, test := range []struct{ method, path, allow string }{
		{"GET", "/v1/analyze/", "POST"}, {"DELETE", "/v1/analyze", "POST"},
		{"POST", "/v1/analyze/providers", "GET"}, {"PUT", "/v1/analyze/cache/stats/", "GET"},
	} {
		w := serve(t, h, httptest.NewRequest(test.method, test.path, nil), nil)
		checkFailure(t, w, 405, "method_not_allowed", "")
		if w.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s: Allow: %s", test.method, test.path, w.Header().Get("Allow"))
		}
	}
}

func TestOtherPathsGoOn(t *testing.T) {
	h := newHandler(t, demoOnly, `{}`)
	for _, path := range []string{"/", "/v1/chat/completions", "/v1/analyze/nothing-here", "/v1/analyzed"} {
		w := serve(t, h, httptest.NewRequest("GET", path, nil), func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusTeapot)
			return nil
		})
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestProvidersTellTheirState(t *testing.T) {
	h := newHandler(t, threeProviders, `{"default_provider":"anthropic"}`)
	down := dialect.Errorf(dialect.Unavailable, "down")
	h.provider(t, "anthropic").fail.Store(down)
	up, _ := h.app.Upstream("anthropic")
	up.Observe(down)
	w := serve(t, h, httptest.NewRequest("GET", "/v1/analyze/providers", nil), nil)
	var got struct{ Providers []providerState }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []providerState{
		{Name: "openai", Status: "available", Models: []string{"gpt-5", "gpt-5-mini"}}, // and what the config sends it
		{Name: "anthropic", Status: "degraded", Default: true, Models: []string{"sonnet"}},
		{Name: "local", Status: "available", Models: []string{"llama", "bge"}},
	}
	if !reflect.DeepEqual(got.Providers, want) {
		t.Errorf("got  %+v\nwant %+v", got.Providers, want)
	}
	h = newHandler(t, `"providers":[{"name":"mute","provider":{"module":"fake"}}]`, `{}`)
	h.provider(t, "mute").fail.Store(down)
	w = serve(t, h, httptest.NewRequest("GET", "/v1/analyze/providers/", nil), nil)
	if got := w.Body.String(); got != `{"providers":[{"name":"mute","status":"available","default":true,"models":[]}]}` {
		t.Errorf("got %s", got)
	}
}

// A cached call costs the surface this much beside what the hub and the cache cost.
func BenchmarkPrepare(b *testing.B) {
	known := newSchemas()
	h := newHandler(b, demoOnly, `{}`)
	for name, body := range map[string]string{
		"own schema":  `{"prompt":"Translate Hello World to French","schema_definition":` + string(builtin("json").text) + `}`,
		"prompt only": `{"prompt":"Translate Hello World to French"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, err := parseRequest([]byte(body))
				if err != nil {
					b.Fatal(err)
				}
				s, err := known.of(&req)
				if err != nil {
					b.Fatal(err)
				}
				to, err := h.choices.resolve(b.Context(), req.provider, nil)
				if err != nil {
					b.Fatal(err)
				}
				appendCacheBody(nil, &req, s, to)
			}
		})
	}
}
