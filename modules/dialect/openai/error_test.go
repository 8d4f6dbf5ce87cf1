package openai

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestErrorsSpeakTheSurfacesWords(t *testing.T) {
	tests := []struct {
		err    *dialect.Error
		status int
		body   string
	}{
		{dialect.Errorf(dialect.Authentication, "send a \"key\""), 401, `{"error":{"message":"send a \"key\"","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`},
		{dialect.Errorf(dialect.Permission, "m"), 403, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"permission_denied"}}`},
		{dialect.Errorf(dialect.ModelNotFound, "m"), 404, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"model_not_found"}}`},
		{dialect.Errorf(dialect.NotFound, "m"), 404, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"unknown_url"}}`},
		{&dialect.Error{Kind: dialect.InvalidJSON, Message: "m", Details: map[string]any{"offset": 7}}, 400, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"invalid_json","offset":7}}`},
		{&dialect.Error{Kind: dialect.InvalidRequest, Message: "m", Field: "messages.0"}, 400, `{"error":{"message":"m","type":"invalid_request_error","param":"messages.0","code":null}}`},
		{dialect.Errorf(dialect.Validation, "m"), 400, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}}`},
		{dialect.Errorf(dialect.TooLarge, "m"), 413, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"request_too_large"}}`},
		{&dialect.Error{Kind: dialect.RateLimit, Message: "m", Details: map[string]any{"remaining": 0, "limit": 10, "scope": "key", "code": "x"}}, 429,
			`{"error":{"message":"m","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded","limit":10,"remaining":0,"scope":"key"}}`},
		{&dialect.Error{Kind: dialect.RateLimit, Message: "m", Code: "insufficient_quota"}, 429, `{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`},
		{dialect.Errorf(dialect.UpstreamFailed, "m"), 502, `{"error":{"message":"m","type":"api_error","param":null,"code":"llm_error"}}`},
		{dialect.Errorf(dialect.UpstreamAuth, "m"), 502, `{"error":{"message":"m","type":"api_error","param":null,"code":"llm_authentication_error"}}`},
		{&dialect.Error{Kind: dialect.Unavailable, Status: 529, Message: "m"}, 503, `{"error":{"message":"m","type":"api_error","param":null,"code":"service_unavailable"}}`},
		{dialect.Errorf(dialect.StoreUnavailable, "m"), 503, `{"error":{"message":"m","type":"api_error","param":null,"code":"service_unavailable"}}`},
		{dialect.Errorf(dialect.Timeout, "m"), 504, `{"error":{"message":"m","type":"api_error","param":null,"code":"timeout"}}`},
		{dialect.Errorf(dialect.Internal, "m"), 500, `{"error":{"message":"m","type":"server_error","param":null,"code":"internal_error"}}`},
		{dialect.Errorf("unheard of", "m"), 500, `{"error":{"message":"m","type":"server_error","param":null,"code":"internal_error"}}`},
		{&dialect.Error{Kind: dialect.UpstreamFailed, Status: 200, Message: "m"}, 502, `{"error":{"message":"m","type":"api_error","param":null,"code":"llm_error"}}`},
		{&dialect.Error{Kind: dialect.InvalidRequest, Status: 400, Message: "m", Body: []byte("{ \"error\": {\"message\":\"theirs\"}}")}, 400, "{ \"error\": {\"message\":\"theirs\"}}"},
		{&dialect.Error{Kind: dialect.InvalidRequest, Message: "m", Body: []byte(`{"detail":"theirs"}`)}, 400, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}}`},
		{&dialect.Error{Kind: dialect.Timeout, Message: "m", Details: map[string]any{"unwritable": func() {}}}, 504, `{"error":{"message":"m","type":"api_error","param":null,"code":"timeout"}}`},
	}
	for _, tt := range tests {
		if status, body := Status(tt.err), string(AppendError(nil, tt.err)); status != tt.status || body != tt.body {
			t.Errorf("%+v gives %d %s\nwant %d %s", tt.err, status, body, tt.status, tt.body)
		}
	}
}

func TestAnErrorEventIsOneLine(t *testing.T) {
	e := &dialect.Error{Kind: dialect.InvalidRequest, Body: []byte("{\r\n  \"error\": {\n    \"message\": \"a\\nb\"\n  }\n}\n")}
	got := string(AppendErrorEvent([]byte("> "), e))
	if want := `> data: {    "error": {     "message": "a\nb"   } } ` + "\n\n"; got != want {
		t.Errorf("AppendErrorEvent = %q, want %q", got, want)
	}
}

// fields is a header of few fields.
func fields(pairs ...string) func(string) string {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h.Get
}

func TestProvidersErrorsAreJudged(t *testing.T) {
	const secret = "sk-very-secret"
	tests := []struct {
		name      string
		status    int
		body      string
		kind      dialect.Kind
		answered  int // with this status
		retryable bool
		passed    bool   // the body is passed on
		message   string // a part of it
		code      string
		field     string
	}{
		{"a bad request", 400, `{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, dialect.InvalidRequest, 400, false, true, "too long", "context_length_exceeded", "messages"},
		{"an unprocessable one", 422, `{"error":{"message":"no","code":422}}`, dialect.InvalidRequest, 422, false, true, "no", "", ""},
		{"vLLM's former shape", 400, `{"object":"error","message":"bad n","type":"BadRequestError","param":"n","code":400}`, dialect.InvalidRequest, 400, false, false, "bad n", "", "n"},
		{"a bare string", 400, `{"error":"invalid options"}`, dialect.InvalidRequest, 400, false, false, "invalid options", "", ""},
		{"Gemini's array", 400, `[{"error":{"code":400,"message":"bad key","status":"INVALID_ARGUMENT"}}]`, dialect.InvalidRequest, 400, false, false, "bad key", "", ""},
		{"our credential", 401, `{"error":{"message":"Incorrect API key provided: ` + secret + `","code":"invalid_api_key"}}`, dialect.UpstreamAuth, 502, false, false, "refused the gateway's credential", "", ""},
		{"our bill", 402, `{"error":{"message":"pay ` + secret + `"}}`, dialect.UpstreamAuth, 502, false, false, "refused the gateway's credential", "", ""},
		{"our rights", 403, `{"error":{"message":"project ` + secret + `"}}`, dialect.UpstreamAuth, 502, false, false, "refused the gateway's credential", "", ""},
		{"a model unknown", 404, `{"error":{"message":"no such","code":"model_not_found"}}`, dialect.ModelNotFound, 404, false, true, "no such", "model_not_found", ""},
		{"a model unknown to vLLM", 404, `{"error":{"message":"The model x does not exist.","type":"NotFoundError","code":404}}`, dialect.ModelNotFound, 404, false, true, "does not exist", "", ""},
		{"a path unknown", 404, `{"error":{"message":"Invalid URL","code":null}}`, dialect.NotFound, 404, false, true, "Invalid URL", "", ""},
		{"too slow a request", 408, `{"error":{"message":"slow"}}`, dialect.Timeout, 504, true, true, "slow", "", ""},
		{"a conflict", 409, `{"error":{"message":"again"}}`, dialect.InvalidRequest, 409, true, true, "again", "", ""},
		{"too large", 413, `{"error":{"message":"large"}}`, dialect.TooLarge, 413, false, true, "large", "", ""},
		{"too many", 429, `{"error":{"message":"slow down, organization org-` + secret + `","type":"requests","code":"rate_limit_exceeded"}}`, dialect.RateLimit, 429, true, false, "own limit", "rate_limit_exceeded", ""},
		{"no money", 429, `{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}`, dialect.RateLimit, 429, false, false, "own limit", "insufficient_quota", ""},
		{"no money, by its type", 429, `{"error":{"message":"pay","type":"insufficient_quota","code":null}}`, dialect.RateLimit, 429, false, false, "own limit", "insufficient_quota", ""},
		{"a failure", 500, `{"error":{"message":"oops","type":"server_error"}}`, dialect.UpstreamFailed, 502, true, false, "oops", "", ""},
		{"a failure that no retry changes", 501, `{"error":{"message":"no streams"}}`, dialect.UpstreamFailed, 502, false, false, "no streams", "", ""},
		{"an overload", 503, `{"error":{"message":"busy","code":"server_is_overloaded"}}`, dialect.Unavailable, 503, true, false, "busy", "server_is_overloaded", ""},
		{"an overload in Anthropic's manner", 529, `{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`, dialect.Unavailable, 503, true, false, "busy", "", ""},
		{"a timeout", 504, `{"error":{"message":"late"}}`, dialect.Timeout, 504, true, false, "late", "", ""},
		{"an error without a message", 500, `{"error":{}}`, dialect.UpstreamFailed, 502, true, false, "status 500", "", ""},
		{"a page", 502, `<html>` + secret + `</html>`, dialect.UpstreamFailed, 502, true, false, "status 502", "", ""},
		{"a page for a bad request", 400, `<html>` + secret + `</html>`, dialect.UpstreamFailed, 502, false, false, "status 400", "", ""},
		{"a page for a path unknown", 404, `404 ` + secret, dialect.UpstreamFailed, 502, false, false, "status 404", "", ""},
		{"a page for too large a request", 413, `<html>` + secret, dialect.TooLarge, 413, false, false, "status 413", "", ""},
		{"a page for too many", 429, secret, dialect.RateLimit, 429, true, false, "status 429", "", ""},
		{"a page for an overload", 503, ``, dialect.Unavailable, 503, true, false, "status 503", "", ""},
		{"JSON that says nothing", 500, `"` + secret + `"`, dialect.UpstreamFailed, 502, true, false, "status 500", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := ParseError(tt.status, fields(), []byte(tt.body))
			if e.Kind != tt.kind || Status(e) != tt.answered || e.Retryable != tt.retryable || (e.Body != nil) != tt.passed || e.Code != tt.code || e.Field != tt.field {
				t.Errorf("ParseError = %+v, answered with %d", e, Status(e))
			}
			if !strings.Contains(e.Message, tt.message) {
				t.Errorf("message %q, want %q in it", e.Message, tt.message)
			}
			if text := string(AppendError(nil, e)) + e.Error(); strings.Contains(text, secret) {
				t.Errorf("%s tells the secret", text)
			}
			if tt.passed && string(AppendError(nil, e)) != tt.body {
				t.Errorf("the body became %s", AppendError(nil, e))
			}
		})
	}
}

func TestProvidersSayHowLongToWait(t *testing.T) {
	const date = "Tue, 24 Nov 2026 10:00:00 GMT"
	tests := []struct {
		header func(string) string
		want   time.Duration
	}{
		{fields(), 0},
		{fields("Retry-After", "2"), 2 * time.Second},
		{fields("Retry-After", "0.5"), 500 * time.Millisecond},
		{fields("Retry-After", "2", "Retry-After-Ms", "150"), 150 * time.Millisecond},
		{fields("Retry-After", "2", "Retry-After-Ms", "soon"), 2 * time.Second},
		{fields("Retry-After", "Tue, 24 Nov 2026 10:00:30 GMT", "Date", date), 30 * time.Second},
		{fields("Retry-After", "Tue, 24 Nov 2026 09:59:30 GMT", "Date", date), 0},
		{fields("Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT"), 0},
		{fields("Retry-After", "-5"), 0},
		{fields("Retry-After", "NaN"), 0},
		{fields("Retry-After", "1e300"), dialect.MaxRetryAfter},
		{fields("Retry-After", "Tue, 24 Nov 2099 10:00:30 GMT", "Date", date), dialect.MaxRetryAfter},
	}
	for _, tt := range tests {
		if got := ParseError(503, tt.header, nil).RetryAfter; got != tt.want {
			t.Errorf("Retry-After %q, Retry-After-Ms %q: %v, want %v", tt.header("Retry-After"), tt.header("Retry-After-Ms"), got, tt.want)
		}
	}
}

func TestAnErrorInAStreamHasTheStatusThatItsWordsTell(t *testing.T) {
	for said, want := range map[string]int{
		`{"message":"m"}`: 502,
		`{"message":"m","type":"server_error","code":"overloaded"}`:               502,
		`{"message":"m","code":429}`:                                              429,
		`{"message":"m","code":"503"}`:                                            503,
		`{"message":"m","code":200}`:                                              502,
		`{"message":"m","type":"rate_limit_error"}`:                               429,
		`{"message":"m","type":"tokens","code":"rate_limit_exceeded"}`:            429,
		`{"message":"m","type":"insufficient_quota"}`:                             429,
		`{"message":"m","type":"invalid_request_error"}`:                          400,
		`{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}`: 401,
		`{"message":"m","type":"invalid_request_error","code":"model_not_found"}`: 404,
	} {
		if got := StatusOf([]byte(`{"error":` + said + `}`)); got != want {
			t.Errorf("%s has status %d, want %d", said, got, want)
		}
	}
}

func TestALongMessageIsCutBetweenCharacters(t *testing.T) {
	body := encode(t, object{"error": object{"message": strings.Repeat("é", dialect.MaxMessage)}})
	e := ParseError(500, fields(), body)
	if len(e.Message) > dialect.MaxMessage+len("…") || strings.Contains(e.Message, "\ufffd") {
		t.Errorf("message of %d bytes: %q", len(e.Message), e.Message)
	}
}

func TestTheLogLearnsStatusAndCode(t *testing.T) {
	e := ParseError(401, fields(), []byte(`{"error":{"message":"m","code":"invalid_api_key"}}`))
	if cause := errors.Unwrap(e); cause == nil || !strings.Contains(cause.Error(), "401") || !strings.Contains(cause.Error(), "invalid_api_key") {
		t.Errorf("cause = %v", errors.Unwrap(e))
	}
}

func FuzzErrorsSurviveAnything(f *testing.F) {
	f.Add(400, []byte(`{"error":{"message":"m","code":"c","param":"p"}}`), "1")
	f.Add(404, []byte(`[{"error":"m"}]`), "Tue, 24 Nov 2026 10:00:30 GMT")
	f.Add(503, []byte("<html>\xff"), "1e400")
	f.Fuzz(func(t *testing.T, status int, body []byte, after string) {
		e := ParseError(status, func(string) string { return after }, body)
		if e.RetryAfter < 0 || Status(e) < 400 || Status(e) > 599 || e.Message == "" {
			t.Fatalf("ParseError = %+v", e)
		}
		event := AppendErrorEvent(nil, e)
		if strings.ContainsAny(string(event[:len(event)-2]), "\r\n") || !json.Valid(event[len("data: "):]) {
			t.Fatalf("event = %q", event)
		}
	})
}
