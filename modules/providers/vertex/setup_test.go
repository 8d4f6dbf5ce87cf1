package vertex

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) {
	for _, variable := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"} {
		os.Unsetenv(variable)
	}
	goleak.VerifyTestMain(m)
}

// questions and models are by publisher.
var (
	questions = map[string]string{
		Google:    `{"contents":[{"role":"user","parts":[{"text":"ping"}]}]}`,
		Anthropic: `{"model":"alias","max_tokens":16,"messages":[{"role":"user","content":"ping"}]}`,
	}
	models = map[string]string{Google: "gemini", Anthropic: "claude"}
)

// provider provisions a provider of the account's. set changes its config first.
func (g *google) provider(t testing.TB, publisher string, set func(p *Provider)) *Provider {
	t.Helper()
	p := &Provider{Publisher: publisher, Location: location, CredentialsFile: g.file, BaseURLs: []string{g.models}, Names: []string{models[publisher]}}
	if set != nil {
		set(p)
	}
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Cleanup() }) //nolint:errcheck // never fails
	return p
}

func ask(publisher string, stream bool) *gateway.Attempt {
	a := &gateway.Attempt{Operation: dialect.Chat, Model: models[publisher], Body: []byte(questions[publisher]), Stream: stream, RequestID: "req_1"}
	if stream && publisher == Anthropic {
		a.Body = []byte(strings.Replace(questions[publisher], "{", `{"stream":true,`, 1))
	}
	return a
}

// failing sends and fails the test where that gives an answer, or an error that is no *dialect.Error.
func failing(t testing.TB, p *Provider, a *gateway.Attempt) *dialect.Error {
	t.Helper()
	reply, err := p.Send(t.Context(), a)
	if err == nil {
		if reply.Stream != nil {
			reply.Stream.Close()
		}
		t.Fatal("there was an answer")
	}
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v", err)
	}
	if text := e.Error() + e.Message + string(e.Body); strings.Contains(text, canary) || strings.Contains(text, "PRIVATE KEY") {
		t.Errorf("the error tells the credential: %v", e)
	}
	return e
}

func TestProviderBehavesAsAllDo(t *testing.T) {
	first := map[string]string{Google: strings.SplitAfter(events, "\n\n")[0], Anthropic: begun}
	for _, publisher := range []string{Google, Anthropic} {
		t.Run(publisher, func(t *testing.T) {
			g := newGoogle(t)
			providertest.Run(t, func(t *testing.T) providertest.Setup {
				stalled := g.serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				paused := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
					says(200, "text/event-stream", first[publisher])(w, r)
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				})
				at := func(base string) func(p *Provider) { return func(p *Provider) { p.BaseURLs = []string{base} } }
				stuck, halting := g.provider(t, publisher, at(stalled)), g.provider(t, publisher, at(paused))
				for _, p := range []*Provider{stuck, halting} { // what is examined is not how a token is waited for
					if _, err := p.credential.tokens.Get(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return providertest.Setup{Provider: g.provider(t, publisher, nil), Stalled: stuck, Paused: halting, Deterministic: true}
			})
		})
	}
}
