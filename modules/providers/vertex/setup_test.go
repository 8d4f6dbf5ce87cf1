package vertex

import (
	"net/http"
	"os"
	"strings"
	"testing"

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
	p := &Provider{Publisher: publisher, Location: location, CredentialsFile: g.file, BaseURLs: []string{g.models}}
	p.Names = []string{models[publisher]}
	if set != nil {
		set(p)
	}
	return providertest.Ready(t, p)
}

func ask(publisher string, stream bool) *gateway.Attempt {
	a := &gateway.Attempt{Operation: dialect.Chat, Model: models[publisher], Body: []byte(questions[publisher]), Stream: stream, RequestID: "req_1"}
	if stream && publisher == Anthropic {
		a.Body = []byte(strings.Replace(questions[publisher], "{", `{"stream":true,`, 1))
	}
	return a
}

// failing fails as providertest.Failure does, and where the error tells the credential.
func failing(t testing.TB, p *Provider, a *gateway.Attempt) *dialect.Error {
	t.Helper()
	return providertest.Failure(t, p, a, canary, "PRIVATE KEY")
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
