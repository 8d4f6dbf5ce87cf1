package gemini

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// sent is what a server gets.
type sent struct{ address, body, key string }

// record answers every call with the same body, and gives what was sent.
func record(t *testing.T, body string) (base string, seen chan sent) {
	seen = make(chan sent, 1)
	return providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- sent{r.RequestURI, string(body), r.Header.Get("X-Goog-Api-Key")}
		providertest.Says(200, "application/json", answer)(w, r)
	}), seen
}

func TestTheModelAndTheMethodAreInTheAddress(t *testing.T) {
	t.Setenv("SOME_KEY", "secret")
	base, seen := record(t, answer)
	const (
		batch   = `{"requests":[{"model":"models/alias","content":{"parts":[{"text":"a"}]}},{"content":{}}]}`
		batched = `{"requests":[{"model":"models/small","content":{"parts":[{"text":"a"}]}},{"content":{},"model":"models/small"}]}`
		nested  = `{ "generateContentRequest":{"model":"models/alias","contents":[] } }`
		renamed = `{ "generateContentRequest":{"model":"models/small","contents":[] } }`
	)
	for _, tt := range []struct {
		operation    dialect.Operation
		model        string
		stream       bool
		body         string
		address, got string
	}{
		{dialect.Chat, "small", false, question, "/models/small:generateContent", question},
		{dialect.Chat, "small", true, question, "/models/small:streamGenerateContent?alt=sse", question},
		{dialect.Chat, "models/small", false, question, "/models/small:generateContent", question},
		{dialect.Chat, "tunedModels/mine", false, question, "/tunedModels/mine:generateContent", question},
		{dialect.Chat, "small", false, `{ "model":"models/alias", "x":[1e999]}`, "/models/small:generateContent", `{ "model":"models/small", "x":[1e999]}`},
		{dialect.Chat, "../files?x=a b#%2e", false, question, "/models/..%2Ffiles%3Fx=a%20b%23%252e:generateContent", question},
		{dialect.CountTokens, "small", false, question, "/models/small:countTokens", question},
		{dialect.CountTokens, "small", false, nested, "/models/small:countTokens", renamed},
		{dialect.Embeddings, "small", false, `{"content":{}}`, "/models/small:embedContent", `{"content":{}}`},
		{dialect.Embeddings, "small", false, batch, "/models/small:batchEmbedContents", batched},
	} {
		for suffix, version := range map[string]string{"": "/v1beta", "/": "/v1beta", "/v1beta": "/v1beta", "/v1/": "/v1", "/a%20b": "/a%20b/v1beta"} {
			p := newProvider(t, base+suffix, func(p *Provider) { p.APIKey = "{env.SOME_KEY}" })
			a := ask(tt.stream)
			a.Operation, a.Model, a.Body = tt.operation, tt.model, []byte(tt.body)
			if _, err := p.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if got, want := <-seen, (sent{version + tt.address, tt.got, "secret"}); got != want {
				t.Errorf("%q: sent %+v, want %+v", suffix, got, want)
			}
			if string(a.Body) != tt.body {
				t.Errorf("the client's body became %s", a.Body)
			}
		}
	}
}

func TestUsageHasTheCountsOfThePromptCacheAndOfThoughts(t *testing.T) {
	want := dialect.Usage{Input: 17, CacheRead: 20, Output: 2, Reasoning: 5}
	p := newProvider(t, providertest.Serve(t, speaker), nil)
	if reply, err := p.Send(t.Context(), ask(false)); err != nil || reply.Usage != want {
		t.Errorf("whole: %+v, %v, want %+v", reply, err, want)
	}
	if _, _, s := readStream(t, p); s.Usage() != want {
		t.Errorf("in events: %+v, want %+v", s.Usage(), want)
	}
}

func TestRefusalsAreToldInTheGatewaysTerms(t *testing.T) {
	body := func(status, message string) string {
		return `{"error":{"code":0,"status":"` + status + `","message":"` + message + `"}}`
	}
	for _, tt := range []struct {
		status    int
		body      string
		kind      dialect.Kind
		retryable bool
	}{
		{400, body("INVALID_ARGUMENT", "contents: no"), dialect.InvalidRequest, false},
		{400, body("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), dialect.UpstreamAuth, false},
		{403, body("PERMISSION_DENIED", "no"), dialect.UpstreamAuth, false},
		{404, body("NOT_FOUND", "models/small is not found"), dialect.ModelNotFound, false},
		{429, body("RESOURCE_EXHAUSTED", "slow down"), dialect.RateLimit, true},
		{500, body("INTERNAL", "no"), dialect.UpstreamFailed, true},
		{503, `[` + refusal + `]`, dialect.Unavailable, true},
		{200, refusal, dialect.UpstreamFailed, true},
		{200, `[` + refusal + `]`, dialect.UpstreamFailed, true},
		{200, `{"candidates":[`, dialect.UpstreamFailed, true},
		{502, "<html>", dialect.UpstreamFailed, true},
	} {
		p := newProvider(t, providertest.Serve(t, providertest.Says(tt.status, "application/json", tt.body)), nil)
		for _, stream := range []bool{false, true} {
			if e := providertest.Failure(t, p, ask(stream)); e.Kind != tt.kind || e.Retryable != tt.retryable {
				t.Errorf("%d %s: kind %s, retryable %t", tt.status, tt.body, e.Kind, e.Retryable)
			}
		}
	}
}

func TestAnOperationThatTheAPIDoesNotHave(t *testing.T) {
	a := ask(false)
	a.Operation = "paint"
	if e := providertest.Failure(t, newProvider(t, "http://127.0.0.1:1", nil), a); e.Kind != dialect.InvalidRequest {
		t.Errorf("the kind is %s", e.Kind)
	}
}

func TestSilenceIsBounded(t *testing.T) {
	quiet := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
		<-r.Context().Done()
	})
	paused := func(sent string) string {
		return providertest.Serve(t, providertest.Pauses(providertest.Says(200, "text/event-stream", sent)))
	}
	soon := caddy.Duration(20 * time.Millisecond)
	p := newProvider(t, quiet, func(p *Provider) { p.FirstTokenTimeout = soon })
	for _, stream := range []bool{false, true} {
		if e := providertest.Failure(t, p, ask(stream)); e.Kind != dialect.Timeout || !e.Retryable {
			t.Errorf("before the first byte: %v, retryable %t", e, e.Retryable)
		}
	}
	p = newProvider(t, paused(po), func(p *Provider) { p.IdleTimeout = soon })
	text, complete, s := readStream(t, p)
	if e, ok := s.Err().(*dialect.Error); text != po || complete || !ok || e.Kind != dialect.Timeout || e.Retryable {
		t.Errorf("after the first event: %q, %v", text, s.Err())
	}
	// A server that has said why the answer ended and does not hang up keeps nobody for longer than that.
	p = newProvider(t, paused(po+ng), func(p *Provider) { p.IdleTimeout = soon })
	if text, complete, s = readStream(t, p); text != po+ng || !complete || s.Err() != nil {
		t.Errorf("after the last event: %q, %v", text, s.Err())
	}
}
