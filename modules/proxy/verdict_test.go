package proxy

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

// The refusals are read by the codecs, as a provider sends them.
func TestWhichFailureGoesWhere(t *testing.T) {
	says := func(parse func(int, func(string) string, []byte) *dialect.Error, status int, body string) error {
		return parse(status, http.Header{}.Get, []byte(body))
	}
	const (
		openAIs    = `{"error":{"message":"m","type":"t","code":"c"}}`
		anthropics = `{"type":"error","error":{"type":"t","message":"m"}}`
		geminis    = `{"error":{"code":1,"message":"m","status":"S"}}`
	)
	for _, tt := range []struct {
		name string
		err  error
		want verdict
	}{
		{"OpenAI: a bad request", says(openai.ParseError, 400, openAIs), final},
		{"OpenAI: a bad credential", says(openai.ParseError, 401, openAIs), elsewhere},
		{"OpenAI: a forbidden thing", says(openai.ParseError, 403, openAIs), elsewhere},
		{"OpenAI: no such model", says(openai.ParseError, 404, `{"error":{"message":"m","code":"model_not_found"}}`), elsewhere},
		{"OpenAI: no such path", says(openai.ParseError, 404, openAIs), elsewhere},
		{"OpenAI: a request timeout", says(openai.ParseError, 408, openAIs), anywhere},
		{"OpenAI: a conflict", says(openai.ParseError, 409, openAIs), anywhere},
		{"OpenAI: too large", says(openai.ParseError, 413, openAIs), final},
		{"OpenAI: a field that is wrong", says(openai.ParseError, 422, openAIs), final},
		{"OpenAI: too fast", says(openai.ParseError, 429, openAIs), anywhere},
		{"OpenAI: no money", says(openai.ParseError, 429, `{"error":{"message":"m","code":"insufficient_quota"}}`), elsewhere},
		{"OpenAI: a failure", says(openai.ParseError, 500, openAIs), anywhere},
		{"OpenAI: overloaded", says(openai.ParseError, 503, openAIs), anywhere},
		{"OpenAI: a page of a proxy", says(openai.ParseError, 502, "<html>"), anywhere},
		{"OpenAI: a redirect", says(openai.ParseError, 302, ""), elsewhere},
		{"Anthropic: a bad request", says(anthropic.ParseError, 400, anthropics), final},
		{"Anthropic: no money", says(anthropic.ParseError, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`), elsewhere},
		{"Anthropic: no money, as a limit", says(anthropic.ParseError, 429, `{"type":"error","error":{"type":"billing_error","message":"m"}}`), elsewhere},
		{"Anthropic: a bad credential", says(anthropic.ParseError, 401, anthropics), elsewhere},
		{"Anthropic: no such model", says(anthropic.ParseError, 404, anthropics), elsewhere},
		{"Anthropic: too fast", says(anthropic.ParseError, 429, anthropics), anywhere},
		{"Anthropic: overloaded", says(anthropic.ParseError, 529, anthropics), anywhere},
		{"Gemini: a bad request", says(gemini.ParseError, 400, geminis), final},
		{"Gemini: a bad credential", says(gemini.ParseError, 400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}`), elsewhere},
		{"Gemini: no such model", says(gemini.ParseError, 404, geminis), elsewhere},
		{"Gemini: too fast", says(gemini.ParseError, 429, geminis), anywhere},
		{"Gemini: overloaded", says(gemini.ParseError, 503, geminis), anywhere},
		{"nobody listens", &dialect.Error{Kind: dialect.Unavailable, Retryable: true}, anywhere},
		{"no answer in time", &dialect.Error{Kind: dialect.Timeout, Retryable: true}, anywhere},
		{"a silence in the middle of a whole answer", &dialect.Error{Kind: dialect.Timeout}, elsewhere},
		{"an answer that cannot be read", dialect.Unreadable(nil), anywhere},
		{"an answer beyond all bounds", dialect.Errorf(dialect.UpstreamFailed, "m"), elsewhere},
		{"the gateway's own fault", dialect.Errorf(dialect.Internal, "m"), final},
		{"a client who left", context.Canceled, final},
		{"what is no failure of ours", errors.New("m"), final},
	} {
		if got, e := judge(tt.err); got != tt.want || (e == nil) != (tt.name == "a client who left" || tt.name == "what is no failure of ours") {
			t.Errorf("%s: the verdict is %d with %v, want %d", tt.name, got, e, tt.want)
		}
	}
}
