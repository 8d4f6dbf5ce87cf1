package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/tidwall/gjson"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestFailLogsWhatNobodyElseTells(t *testing.T) {
	for kind, want := range map[dialect.Kind]string{
		dialect.Internal: "warn", dialect.Unavailable: "warn", dialect.StoreUnavailable: "debug", dialect.RateLimit: "",
	} {
		app := newApp(t)
		core, logs := observer.New(zap.DebugLevel)
		app.log = zap.New(core)
		call, w, r := enter(t, app, http.MethodPost, "/v1/chat/completions", "")
		if err := call.Fail(w, r, dialect.Errorf(kind, "m")); err != nil {
			t.Fatal(err)
		}
		var got string
		for _, entry := range logs.All() {
			got += entry.Level.String()
		}
		if got != want {
			t.Errorf("%s is logged as %q, want %q", kind, got, want)
		}
	}
}

func TestFailAnswersInTheSurfacesShape(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		err        error
		status     int
		typ, code  string // of the error; code is OpenAI's alone
	}{
		{"OpenAI's", "/v1/chat/completions", dialect.Errorf(dialect.RateLimit, "m"), 429, "rate_limit_error", "rate_limit_exceeded"},
		{"OpenAI's, validation", "/v1/embeddings", dialect.Errorf(dialect.Validation, "m"), 400, "invalid_request_error", ""},
		{"OpenAI's, unknown path", "/nothing", dialect.Errorf(dialect.NotFound, "m"), 404, "invalid_request_error", "unknown_url"},
		{"OpenAI's, not ours", "/v1/models", errors.New("secret"), 500, "server_error", "internal_error"},
		{"analyze", "/v1/analyze/", dialect.Errorf(dialect.RateLimit, "m"), 429, "rate_limit_exceeded", ""},
		{"analyze, impossible", "/v1/analyze", dialect.Errorf(dialect.InvalidRequest, "m"), 400, "invalid_json", ""},
		{"analyze, validation", "/v1/analyze", dialect.Errorf(dialect.Validation, "m"), 422, "validation_error", ""},
		{"analyze, store", "/v1/analyze/providers", dialect.Errorf(dialect.StoreUnavailable, "m"), 503, "llm_provider_unavailable", ""},
		{"analyze, unknown model", "/v1/analyze/", dialect.Errorf(dialect.ModelNotFound, "m"), 404, "not_found", ""},
		{"analyze, cache miss", "/v1/analyze/", dialect.Errorf(dialect.OnlyIfCachedMiss, "m"), 504, "llm_timeout_error", ""},
		{"analyze, unknown path", "/v1/analyze/nothing", dialect.Errorf(dialect.NotFound, "m"), 404, "not_found", ""},
		{"keys, not ours", "/v1/api-keys/x", errors.New("secret"), 500, "internal_error", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			call, w, r := enter(t, newApp(t), http.MethodPost, tt.path, "")
			if err := call.Fail(w, r, tt.err); err != nil {
				t.Fatal(err)
			}
			body := w.Body.String()
			if w.Code != tt.status || call.Status != tt.status || gjson.Get(body, "error.type").Str != tt.typ || gjson.Get(body, "error.code").Str != tt.code {
				t.Errorf("answered is %d %s", w.Code, body)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the client is told the cause: %s", body)
			}
			if w.Header().Get("Content-Type") != "application/json" || call.Err == nil {
				t.Errorf("headers %v, error %v", w.Header(), call.Err)
			}
			if call.Surface.Dialect == dialect.Analyze {
				if at, err := time.Parse(time.RFC3339, gjson.Get(body, "timestamp").Str); err != nil || at.Location() != time.UTC {
					t.Errorf("the time is %v, %v", at, err)
				}
				if gjson.Get(body, "request_id").Str != call.ID {
					t.Errorf("the id is not in %s", body)
				}
			}
		})
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for _, tt := range []struct {
		wait          time.Duration
		seconds, ms   string
		retryPromised string
	}{
		{0, "1", "1000", ""}, // nobody knows
		{-time.Second, "1", "1000", ""},
		{1, "1", "1", ""},
		{1500 * time.Microsecond, "1", "2", ""},
		{time.Second, "1", "1000", ""},
		{time.Second + 1, "2", "1001", ""},
		{59*time.Second + 999*time.Millisecond, "60", "59999", ""},
		{time.Minute, "60", "60000", ""},
		{time.Minute + 1, "61", "60001", "false"},
	} {
		h := make(http.Header)
		setRetryAfter(h, tt.wait)
		if h.Get("Retry-After") != tt.seconds || h.Get("Retry-After-Ms") != tt.ms || h.Get("X-Should-Retry") != tt.retryPromised {
			t.Errorf("%s is %v", tt.wait, h)
		}
	}
}

func TestRetryAfterComesWithStatusesThatPass(t *testing.T) {
	for kind, want := range map[dialect.Kind]string{
		dialect.RateLimit: "1", dialect.Unavailable: "1", dialect.StoreUnavailable: "1", dialect.Timeout: "", dialect.NotFound: "",
	} {
		call, w, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", "")
		call.Fail(w, r, dialect.Errorf(kind, "m")) //nolint:errcheck // checked elsewhere
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%s: to wait are %q, want %q", kind, got, want)
		}
	}
}

func TestFailLeavesTheAnswerToErrorRoutes(t *testing.T) {
	call, w, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", "")
	srv := &caddyhttp.Server{Errors: &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{{}}}}
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.ServerCtxKey, srv))
	err := call.Fail(w, r, &dialect.Error{Kind: dialect.RateLimit, Message: "m", RetryAfter: 3 * time.Second})
	var he caddyhttp.HandlerError
	var e *dialect.Error
	if !errors.As(err, &he) || he.StatusCode != 429 || !errors.As(err, &e) || w.Body.Len() != 0 {
		t.Errorf("the error is %v, answered %s", err, w.Body)
	}
	if w.Header().Get("Retry-After") != "3" || call.Status != 429 {
		t.Errorf("the status is %d, the headers %v", call.Status, w.Header())
	}
}

func TestAClientWhoLeftIsNotAnswered(t *testing.T) {
	call, w, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", "")
	ctx, leave := context.WithCancel(r.Context())
	leave()
	if err := call.Fail(w, r.WithContext(ctx), ctx.Err()); err != nil || call.Status != 499 || w.Body.Len() != 0 {
		t.Errorf("the status is %d, answered %s, %v", call.Status, w.Body, err)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	call, w, r := enter(t, newApp(t), http.MethodHead, "/v1/models/x", "")
	if err := call.Fail(w, r, dialect.Errorf(dialect.ModelNotFound, "m")); err != nil || w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("answered is %d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestCORS(t *testing.T) {
	const page = "https://app.example.com"
	for _, tt := range []struct {
		name    string
		allowed []string
		origin  string
		want    string
	}{
		{"none allowed", nil, page, ""},
		{"allowed", []string{"https://other.example.com", page}, page, page},
		{"any", []string{"*"}, page, page},
		{"another origin", []string{page}, "https://evil.example.com", ""},
		{"another scheme", []string{page}, "http://app.example.com", ""},
		{"a longer name", []string{page}, page + ".evil.com", ""},
		{"no origin", []string{page}, "", ""},
		{"null", []string{page}, "null", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := newApp(t)
			app.CORS = tt.allowed
			w := httptest.NewRecorder()
			r := request(w, http.MethodOptions, "/v1/chat/completions", nil)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "authorization")
			call := app.Enter(w, r)
			defer call.Leave()
			handled := call.Preflight(w, r)
			h := w.Header()
			if h.Get("Access-Control-Allow-Origin") != tt.want || handled != (tt.allowed != nil) {
				t.Errorf("handled %t, headers %v", handled, h)
			}
			if vary := h.Get("Vary") == "Origin"; vary != (tt.allowed != nil) {
				t.Errorf("Vary is %q", h.Get("Vary"))
			}
			allows := tt.want != ""
			if (h.Get("Access-Control-Allow-Headers") == "authorization") != allows || (h.Get("Access-Control-Allow-Methods") != "") != allows {
				t.Errorf("the headers are %v", h)
			}
		})
	}
	for _, tt := range []struct {
		method, ask string
	}{{http.MethodOptions, ""}, {http.MethodPost, "POST"}} {
		app := newApp(t)
		app.CORS = []string{"*"}
		w := httptest.NewRecorder()
		r := request(w, tt.method, "/v1/chat/completions", nil)
		r.Header.Set("Access-Control-Request-Method", tt.ask)
		call := app.Enter(w, r)
		if call.Preflight(w, r) {
			t.Errorf("%s is taken for a preflight", tt.method)
		}
		call.Leave()
	}
}

func TestOriginsOfTheConfig(t *testing.T) {
	for origin, ok := range map[string]bool{
		"*": true, "https://app.example.com": true, "http://localhost:3000": true,
		"app.example.com": false, "https://app.example.com/": false, "https://": false, "https://a?b": false, "null": false,
	} {
		if err := (&App{CORS: []string{origin}}).checkCORS(); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

func TestSurfacesOfPaths(t *testing.T) {
	for path, want := range map[string]*Surface{
		"/v1/chat/completions": ChatCompletions, "/v1/chat/completions/": ChatCompletions, "/v1/embeddings": EmbeddingsCreate,
		"/v1/models": ModelsList, "/v1/models/": ModelsList, "/v1/models/org/name": ModelsList,
		"/v1/responses": ResponsesCreate, "/v1/responses/": ResponsesCreate, "/v1/responses/resp_1": ResponsesStored,
		"/v1/responses/resp_1/cancel": ResponsesStored, "/v1/responsesx": Other,
		"/v1/messages": MessagesCreate, "/v1/messages/": MessagesCreate, "/v1/messages/count_tokens": MessagesCount,
		"/v1/messages/batches": otherMessages, "/v1/messagesx": Other,
		"/v1/analyze": AnalyzePrompt, "/v1/analyze/": AnalyzePrompt, "/v1/analyze/providers": AnalyzeProviders,
		"/v1/analyze/cache/stats/": AnalyzeStats, "/v1/analyze/else": otherAnalyze, "/v1/analyzer": Other,
		"/v1/api-keys": KeysAdmin, "/v1/api-keys/": KeysAdmin, "/v1/api-keys/key_1/rotate": KeysAdmin, "/v1/api-keysx": Other,
		"/v1/teams": TeamsAdmin, "/v1/teams/": TeamsAdmin, "/v1/teams/red": TeamsAdmin, "/v1/teamsx": Other,
		"/v1/health": Health, "/v1/ready/": Health, "/v1/live": Health, "/v1/metrics": Health,
		"": Other, "/": Other, "/v1": Other, "/V1/models": Other, "/v1/chat": Other,
	} {
		if got := SurfaceOf(path); got != want {
			t.Errorf("%q is %+v", path, got)
		}
	}
}

func TestSurfacesOfAnthropicsClients(t *testing.T) {
	for path, want := range map[string]*Surface{
		"/v1/models": MessagesModels, "/v1/models/claude-x": MessagesModels, "/v1/messages": MessagesCreate,
		"/v1/files": otherMessages, "/v1/chat/completions": ChatCompletions, "/v1/analyze": AnalyzePrompt, "/v1/health": Health,
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("anthropic-version", "2023-06-01")
		if got := surfaceOf(r); got != want {
			t.Errorf("%q is %+v", path, got)
		}
	}
}
