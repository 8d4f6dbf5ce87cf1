package anthropic

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestARequestIsTheClientsWithModelAndCredential(t *testing.T) {
	t.Setenv("SOME_KEY", "secret")
	type sent struct{ path, body, key, version, beta string }
	seen := make(chan sent, 1)
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- sent{r.URL.Path, string(body), r.Header.Get("X-Api-Key"), r.Header.Get("Anthropic-Version"), r.Header.Get("Anthropic-Beta")}
		providertest.Says(200, "application/json", answer)(w, r)
	})
	const prefix = `{ "thinking":{"type":"adaptive"},`
	body := prefix + question[1:]
	for _, suffix := range []string{"", "/", "/v1", "/v1/"} {
		p := newProvider(t, base+suffix, func(p *Provider) { p.APIKey = "{env.SOME_KEY}" })
		a := ask(false)
		a.Body = []byte(body)
		if _, err := p.Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want := sent{"/v1/messages", strings.Replace(body, `"alias"`, `"small"`, 1), "secret", "2023-06-01", ""}
		if got := <-seen; got != want {
			t.Errorf("%q: sent %+v, want %+v", suffix, got, want)
		}
		a.Header = http.Header{"Anthropic-Version": {"2099-01-01"}, "Anthropic-Beta": {"a,b"}}
		a.Operation = dialect.CountTokens
		if _, err := p.Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want.path, want.version, want.beta = "/v1/messages/count_tokens", "2099-01-01", "a,b"
		if got := <-seen; got != want {
			t.Errorf("%q: sent %+v, want %+v", suffix, got, want)
		}
	}
}

func TestUsageHasTheCountsOfThePromptCache(t *testing.T) {
	want := dialect.Usage{Input: 7, CacheRead: 20, CacheWrite: 10, Output: 2}
	p := newProvider(t, providertest.Serve(t, speaker), nil)
	reply, err := p.Send(t.Context(), ask(false))
	if err != nil || reply.Usage != want {
		t.Errorf("whole: %+v, %v, want %+v", reply, err, want)
	}
	a := ask(true)
	a.Body = []byte(strings.Replace(question, "{", `{"stream":true,`, 1))
	if reply, err = p.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	defer reply.Stream.Close()
	for reply.Stream.Next() {
	}
	if got := reply.Stream.Usage(); got != want {
		t.Errorf("in events: %+v, want %+v", got, want)
	}
}

func TestRefusalsAreToldInTheGatewaysTerms(t *testing.T) {
	body := func(typ, message string) string {
		return `{"type":"error","error":{"type":"` + typ + `","message":"` + message + `"},"request_id":"req_011"}`
	}
	for _, tt := range []struct {
		status    int
		body      string
		kind      dialect.Kind
		retryable bool
	}{
		{400, body("invalid_request_error", "max_tokens: too many"), dialect.InvalidRequest, false},
		{400, body("invalid_request_error", "Your credit balance is too low"), dialect.UpstreamAuth, false},
		{401, body("authentication_error", "invalid x-api-key"), dialect.UpstreamAuth, false},
		{404, body("not_found_error", "model: small"), dialect.ModelNotFound, false},
		{413, body("request_too_large", "too large"), dialect.TooLarge, false},
		{429, body("rate_limit_error", "slow down"), dialect.RateLimit, true},
		{500, body("api_error", "Internal server error"), dialect.UpstreamFailed, true},
		{529, body("overloaded_error", "Overloaded"), dialect.Unavailable, true},
		{200, body("overloaded_error", "Overloaded"), dialect.UpstreamFailed, true},
		{200, `{"type":"mess`, dialect.UpstreamFailed, true},
		{502, "<html>", dialect.UpstreamFailed, true},
	} {
		p := newProvider(t, providertest.Serve(t, providertest.Says(tt.status, "application/json", tt.body)), nil)
		if e := providertest.Failure(t, p, ask(false)); e.Kind != tt.kind || e.Retryable != tt.retryable {
			t.Errorf("%d %s: kind %s, retryable %t", tt.status, tt.body, e.Kind, e.Retryable)
		}
	}
}

func TestAnOperationThatTheAPIDoesNotHave(t *testing.T) {
	a := ask(false)
	a.Operation = dialect.Embeddings
	if e := providertest.Failure(t, newProvider(t, "http://127.0.0.1:1", nil), a); e.Kind != dialect.InvalidRequest {
		t.Errorf("the kind is %s", e.Kind)
	}
}

func TestSilenceIsBounded(t *testing.T) {
	quiet := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
		<-r.Context().Done()
	})
	paused := providertest.Serve(t, providertest.Pauses(providertest.Says(200, "text/event-stream", begin)))
	soon := caddy.Duration(20 * time.Millisecond)
	p := newProvider(t, quiet, func(p *Provider) { p.FirstTokenTimeout = soon })
	for _, stream := range []bool{false, true} {
		if e := providertest.Failure(t, p, ask(stream)); e.Kind != dialect.Timeout || !e.Retryable {
			t.Errorf("before the first byte: %v, retryable %t", e, e.Retryable)
		}
	}
	p = newProvider(t, paused, func(p *Provider) { p.IdleTimeout = soon })
	reply, err := p.Send(t.Context(), ask(true))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Stream.Close()
	if !reply.Stream.Next() || reply.Stream.Next() {
		t.Fatal("the stream does not have one event")
	}
	if e, ok := reply.Stream.Err().(*dialect.Error); !ok || e.Kind != dialect.Timeout || e.Retryable {
		t.Errorf("after the first event: %v", reply.Stream.Err())
	}
}

// FuzzBodiesReachTheServerAsTheyAre: whatever a client writes, only the model differs.
func FuzzBodiesReachTheServerAsTheyAre(f *testing.F) {
	seen := make(chan []byte, 1)
	base := providertest.Serve(f, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- body
		providertest.Says(200, "application/json", answer)(w, r)
	})
	p := newProvider(f, base, nil)
	for _, seed := range []string{question, `{"model":"a","x":[1e999,"\ud800"],"model":"b"}`, `{"x":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if dialect.Check(body) != nil || !gjson.ParseBytes(body).IsObject() {
			return
		}
		if _, err := p.Send(t.Context(), &gateway.Attempt{Operation: dialect.Chat, Model: "small", Body: body}); err != nil {
			t.Fatal(err)
		}
		got := <-seen
		if gjson.GetBytes(got, "model").Str != "small" {
			t.Errorf("%q becomes %q", body, got)
		}
		without := func(b []byte) string { return string(dialect.Splice(nil, b, dialect.Edit{Name: "model"})) }
		if without(got) != without(body) {
			t.Errorf("%q becomes %q", body, got)
		}
	})
}
