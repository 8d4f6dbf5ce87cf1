package azure

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestProviderBehavesAsAllDo(t *testing.T) {
	for _, version := range []string{VersionOne, "2024-10-21"} {
		t.Run(version, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Setup {
				stalled := providertest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
					<-r.Context().Done()
				})
				paused := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
					providertest.Says(200, "text/event-stream", filtered+opening)(w, r)
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				})
				set := func(p *Provider) { p.Version = version }
				return providertest.Setup{
					Provider: newProvider(t, providertest.Serve(t, resource), set), Stalled: newProvider(t, stalled, set), Paused: newProvider(t, paused, set),
					Deterministic: true,
				}
			})
		})
	}
}

func TestDeploymentsAreAskedWhereTheVersionHasThem(t *testing.T) {
	type sent struct{ path, query, key, token, model string }
	seen := make(chan sent, 1)
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- sent{r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Api-Key"), r.Header.Get("Authorization"), gjson.GetBytes(body, "model").Str}
		providertest.Says(200, "application/json", answer)(w, r)
	})
	for _, tt := range []struct {
		name, suffix string
		set          func(p *Provider)
		want         sent
	}{
		{"v1", "", nil, sent{"/openai/v1/chat/completions", "", canary, "", "my-deployment"}},
		{"v1, as the portal writes it", "/openai/v1/", nil, sent{"/openai/v1/chat/completions", "", canary, "", "my-deployment"}},
		{"dated", "/", func(p *Provider) { p.Version = "2024-10-21" },
			sent{"/openai/deployments/my-deployment/chat/completions", "api-version=2024-10-21", canary, "", "my-deployment"}},
		{"behind a path", "/apim/openai", func(p *Provider) { p.Version = "2025-04-01-preview" },
			sent{"/apim/openai/deployments/my-deployment/chat/completions", "api-version=2025-04-01-preview", canary, "", "my-deployment"}},
		{"a name that is no path", "", func(p *Provider) { p.Version, p.Deployments[0].Name = "2024-10-21", "a/b c?d" },
			sent{"/openai/deployments/a%2Fb%20c%3Fd/chat/completions", "api-version=2024-10-21", canary, "", "a/b c?d"}},
		{"a token", "", func(p *Provider) { p.Token = "{env.AZURE_OPENAI_API_KEY}" },
			sent{"/openai/v1/chat/completions", "", "", "Bearer " + canary, "my-deployment"}},
		{"no deployments", "", func(p *Provider) { p.Deployments = nil }, sent{"/openai/v1/chat/completions", "", canary, "", "fast"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := newProvider(t, base+tt.suffix, tt.set).Send(t.Context(), ask(false)); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != tt.want {
				t.Errorf("sent %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTheFilterOfThePromptIsNoBeginningOfAnAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		sent, want string
		complete   bool
	}{
		"joins the first event": {filtered + opening + closing + finish, joined + closing + finish, true},
		"cut behind it":         {filtered, "", false},
		"an answer of its own":  {joined + closing + finish, joined + closing + finish, true},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", tt.sent)), nil).Send(t.Context(), ask(true))
			if !tt.complete {
				if err == nil {
					reply.Stream.Close()
					t.Fatal("the answer has begun")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Stream.Close()
			var text strings.Builder
			for reply.Stream.Next() {
				text.Write(reply.Stream.Event())
			}
			if text.String() != tt.want || reply.Stream.Err() != nil {
				t.Errorf("the client gets %s, %v", &text, reply.Stream.Err())
			}
		})
	}
}
