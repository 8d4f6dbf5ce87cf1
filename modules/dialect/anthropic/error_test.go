package anthropic

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestErrorsAreWrittenAsClientsKnowThem(t *testing.T) {
	tests := []struct {
		err    *dialect.Error
		status int
		want   string
	}{
		{&dialect.Error{Kind: dialect.RateLimit, Message: "slow \"down\"", Details: map[string]any{"limit": 5, "type": "x", RequestID: "req_1"}}, 429,
			`{"type":"error","error":{"type":"rate_limit_error","message":"slow \"down\"","limit":5},"request_id":"req_1"}`},
		{&dialect.Error{Kind: dialect.Unavailable, Message: "m"}, 529, `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`},
		{&dialect.Error{Kind: dialect.Validation, Message: "m"}, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"m"}}`},
		{&dialect.Error{Kind: dialect.UpstreamAuth, Message: "m"}, 502, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
		{&dialect.Error{Kind: dialect.UpstreamFailed, Status: 529, Message: "m"}, 529, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
		{&dialect.Error{Kind: dialect.UpstreamFailed, Status: 999, Message: "m"}, 502, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
		{&dialect.Error{Kind: "new", Message: "m"}, 500, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
		{&dialect.Error{Kind: dialect.InvalidRequest, Body: []byte(`{"type":"error","error":{"type":"t","message":"theirs"}}`)}, 400, `{"type":"error","error":{"type":"t","message":"theirs"}}`},
		{&dialect.Error{Kind: dialect.InvalidRequest, Message: "m", Body: []byte(`{"error":{"message":"OpenAI's"}}`)}, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"m"}}`},
	}
	for _, tt := range tests {
		if got := string(AppendError(nil, tt.err)); got != tt.want {
			t.Errorf("%v is written as %s, want %s", tt.err, got, tt.want)
		}
		if got := Status(tt.err); got != tt.status {
			t.Errorf("%v has status %d, want %d", tt.err, got, tt.status)
		}
	}
}

func TestAnErrorEventIsOneEvent(t *testing.T) {
	e := &dialect.Error{Kind: dialect.InvalidRequest, Body: []byte("{\"type\":\"error\",\r\n\"error\":{}}")}
	if got, want := string(AppendErrorEvent(nil, e)), "event: error\ndata: {\"type\":\"error\",  \"error\":{}}\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAProvidersRefusalBecomesOneOfOurs(t *testing.T) {
	said := func(typ, message string) string {
		return `{"type":"error","error":{"type":"` + typ + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	tests := []struct {
		name      string
		status    int
		body      string
		kind      dialect.Kind
		answered  int // what an Anthropic client gets
		retryable bool
		says      string
		body2     bool // the provider's own body goes on
	}{
		{"a bad request", 400, said("invalid_request_error", "messages: too few"), dialect.InvalidRequest, 400, false, "messages: too few", true},
		{"no money", 400, said("invalid_request_error", "Your credit balance is too low to access the API"), dialect.UpstreamAuth, 502, false, "credential", false},
		{"no money, by type", 429, said("billing_error", "m"), dialect.UpstreamAuth, 502, true, "credential", false},
		{"a bad key", 401, said("authentication_error", "invalid x-api-key"), dialect.UpstreamAuth, 502, false, "credential", false},
		{"a forbidden thing", 403, said("permission_error", "m"), dialect.UpstreamAuth, 502, false, "credential", false},
		{"no such model", 404, said("not_found_error", "model: claude-0"), dialect.ModelNotFound, 404, false, "claude-0", true},
		{"no such thing", 404, said("not_found_error", "file"), dialect.NotFound, 404, false, "file", true},
		{"too large", 413, said("request_too_large", "m"), dialect.TooLarge, 413, false, "m", true},
		{"too large, from a proxy", 413, "<html>", dialect.TooLarge, 413, false, "no error that the gateway can read", false},
		{"too fast", 429, said("rate_limit_error", "your organization org-1"), dialect.RateLimit, 429, true, "the provider's own limit", false},
		{"a failure", 500, said("api_error", "Internal server error"), dialect.UpstreamFailed, 502, true, "Internal server error", false},
		{"too slow", 504, said("timeout_error", "m"), dialect.Timeout, 504, true, "m", false},
		{"overloaded", 529, said("overloaded_error", "Overloaded"), dialect.Unavailable, 529, true, "Overloaded", false},
		{"a page", 502, "<html>bad gateway</html>", dialect.UpstreamFailed, 502, true, "status 502", false},
		{"an empty body", 503, "", dialect.Unavailable, 529, true, "status 503", false},
		{"another shape", 422, `{"detail":"x"}`, dialect.InvalidRequest, 422, false, "status 422", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"Retry-After": {"7"}}
			e := ParseError(tt.status, header.Get, []byte(tt.body))
			if e.Kind != tt.kind || Status(e) != tt.answered || e.Retryable != tt.retryable || !strings.Contains(e.Message, tt.says) || (e.Body != nil) != tt.body2 {
				t.Errorf("got %+v, answered with %d", e, Status(e))
			}
			if e.RetryAfter != 7*time.Second {
				t.Errorf("it waits %v", e.RetryAfter)
			}
		})
	}
}

func TestAnErrorInAStreamIsAsBadAsBeforeIt(t *testing.T) {
	for typ, want := range map[string]dialect.Kind{
		"overloaded_error": dialect.Unavailable, "rate_limit_error": dialect.RateLimit, "api_error": dialect.UpstreamFailed,
		"invalid_request_error": dialect.InvalidRequest, "authentication_error": dialect.UpstreamAuth, "billing_error": dialect.UpstreamAuth,
		"permission_error": dialect.UpstreamAuth, "not_found_error": dialect.NotFound, "request_too_large": dialect.TooLarge,
		"timeout_error": dialect.Timeout, "new_error": dialect.UpstreamFailed,
	} {
		var got *dialect.Error
		d := NewDecoder()
		if err := d.Decode([]byte(`{"type":"error","error":{"type":"`+typ+`","message":"m"}}`), func(e *dialect.Event) { got = e.Err }); err != nil {
			t.Fatal(err)
		}
		if got == nil || got.Kind != want || got.Retryable {
			t.Errorf("%s is %v, want %s", typ, got, want)
		}
	}
}
