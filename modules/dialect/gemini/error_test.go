package gemini

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func none(string) string { return "" }

func TestProvidersErrorsAreJudged(t *testing.T) {
	body := func(code, status, message, details string) string {
		return `{"error":{"code":` + code + `,"message":"` + message + `","status":"` + status + `","details":[` + details + `]}}`
	}
	retry := `{"@type":"` + typeRetry + `","retryDelay":"3.5s"}`
	tests := []struct {
		name, body string
		status     int
		kind       dialect.Kind
		sent       int // the status that the client gets
		says       string
		wait       time.Duration
		retryable  bool
		own        bool // the provider's body is passed on
	}{
		{"a bad request", body("400", "INVALID_ARGUMENT", "Invalid value at 'contents'", `{"@type":"`+typeBad+`","fieldViolations":[{"field":"contents"}]}`), 400, dialect.InvalidRequest, 400, "Invalid value", 0, false, true},
		{"in an array", "[" + body("400", "INVALID_ARGUMENT", "Bad", "") + "]", 400, dialect.InvalidRequest, 400, "Bad", 0, false, true},
		{"a bad key is a bad argument", body("400", "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", `{"@type":"`+typeInfo+`","reason":"API_KEY_INVALID"}`), 400, dialect.UpstreamAuth, 502, "refused the gateway's credential", 0, false, false},
		{"a bad key without details", body("400", "INVALID_ARGUMENT", "API key expired.", ""), 400, dialect.UpstreamAuth, 502, "credential", 0, false, false},
		{"no billing", body("400", "FAILED_PRECONDITION", "User location is not supported", ""), 400, dialect.UpstreamAuth, 502, "credential", 0, false, false},
		{"no permission", body("403", "PERMISSION_DENIED", "secret project 12", ""), 403, dialect.UpstreamAuth, 502, "credential", 0, false, false},
		{"no such model", body("404", "NOT_FOUND", "models/gemini-9 is not found for API version v1beta", ""), 404, dialect.ModelNotFound, 404, "gemini-9", 0, false, true},
		{"no such thing", body("404", "NOT_FOUND", "Requested entity was not found.", ""), 404, dialect.NotFound, 404, "not found", 0, false, true},
		{"too many calls", body("429", "RESOURCE_EXHAUSTED", "You exceeded your current quota of project 12", retry), 429, dialect.RateLimit, 429, "the provider's own limit", 3500 * time.Millisecond, true, false},
		{"overloaded", body("503", "UNAVAILABLE", "The model is overloaded.", ""), 503, dialect.Unavailable, 503, "overloaded", 0, true, false},
		{"too late", body("504", "DEADLINE_EXCEEDED", "Deadline expired", ""), 504, dialect.Timeout, 504, "Deadline", 0, true, false},
		{"failed", body("500", "INTERNAL", "An internal error has occurred.", ""), 500, dialect.UpstreamFailed, 502, "internal error", 0, true, false},
		{"a page", "<html>", 502, dialect.UpstreamFailed, 502, "no error that the gateway can read", 0, true, false},
		{"nothing", "", 413, dialect.TooLarge, 413, "status 413", 0, false, false},
		{"another shape", `{"detail":"x"}`, 400, dialect.InvalidRequest, 400, "status 400", 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := ParseError(tt.status, none, []byte(tt.body))
			if e.Kind != tt.kind || Status(e) != tt.sent || !strings.Contains(e.Message, tt.says) || e.RetryAfter != tt.wait || e.Retryable != tt.retryable {
				t.Errorf("got %+v", e)
			}
			out := AppendError(nil, e)
			if got := string(out) == tt.body; got != tt.own {
				t.Errorf("the client gets %s", out)
			}
			if strings.Contains(string(out), "project 12") {
				t.Errorf("the client learns of the account: %s", out)
			}
		})
	}
}

func TestAHeaderSaysBeforeTheBodyHowLongToWait(t *testing.T) {
	header := func(name string) string { return http.Header{"Retry-After": {"7"}}.Get(name) }
	body := `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"` + typeRetry + `","retryDelay":"3s"}]}}`
	if e := ParseError(429, header, []byte(body)); e.RetryAfter != 7*time.Second {
		t.Errorf("waits %v", e.RetryAfter)
	}
	for _, delay := range []string{`"-1s"`, `"1e9h"`, `"soon"`, `9`} {
		if e := ParseError(429, none, []byte(strings.Replace(body, `"3s"`, delay, 1))); e.RetryAfter < 0 || e.RetryAfter > dialect.MaxRetryAfter {
			t.Errorf("%s is a wait of %v", delay, e.RetryAfter)
		}
	}
}

func TestErrorsTellAllThatIsKnown(t *testing.T) {
	e := dialect.Errorf(dialect.RateLimit, "slow \"down\"")
	e.Field, e.Code, e.RetryAfter = "a.b", "requests", 1500*time.Microsecond
	e.Details, e.Cause = map[string]any{"limit": 5, "scope": "key", "broken": func() {}}, errors.New("secret")
	want := `{"error":{"code":429,"message":"slow \"down\"","status":"RESOURCE_EXHAUSTED","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"requests","domain":"caddy-llm","metadata":{"limit":"5","scope":"key"}},` +
		`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"a.b","description":"slow \"down\""}]},` +
		`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.002s"}]}}`
	if got := string(AppendError(nil, e)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnErrorIsOneEvent(t *testing.T) {
	e := &dialect.Error{Kind: dialect.InvalidRequest, Body: []byte("{\n\"error\":\r\n{\"code\":400,\"status\":\"INVALID_ARGUMENT\"}}")}
	event := string(AppendErrorEvent(nil, e))
	data, ok := strings.CutPrefix(strings.TrimSuffix(event, "\n\n"), "data: ")
	if !ok || strings.ContainsAny(data, "\r\n") || !json.Valid([]byte(data)) {
		t.Errorf("got %q", event)
	}
}

func TestOthersErrorBodiesAreNotPassedOn(t *testing.T) {
	for _, body := range []string{`{"error":{"message":"m","type":"t","code":"c"}}`, `{"type":"error","error":{"type":"t","message":"m"}}`, `{`, ``, `[]`, `{"error":"m"}`} {
		e := &dialect.Error{Kind: dialect.InvalidRequest, Message: "own", Body: []byte(body)}
		if out := string(AppendError(nil, e)); !strings.Contains(out, `"message":"own"`) {
			t.Errorf("%s is passed on as %s", body, out)
		}
	}
}

func FuzzParseErrorKeepsItsBounds(f *testing.F) {
	f.Add(429, []byte(`[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"`+typeRetry+`","retryDelay":"3s"}]}}]`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := ParseError(status, none, body)
		if len(e.Message) > dialect.MaxMessage+64 || e.RetryAfter < 0 || e.RetryAfter > dialect.MaxRetryAfter {
			t.Fatalf("%+v", e)
		}
		if s := Status(e); s < 400 || s > 599 {
			t.Fatalf("status %d", s)
		}
		if out := AppendError(nil, e); !json.Valid(out) {
			t.Fatalf("%q", out)
		}
	})
}
