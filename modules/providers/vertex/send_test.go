package vertex

import (
	"context"
	"net/http"
	"testing"

	"cloud.google.com/go/auth"
	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/vertex"
	"github.com/tidwall/gjson"
	"golang.org/x/oauth2"
	googleauth "golang.org/x/oauth2/google"
	"google.golang.org/genai"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const parent = "/v1/projects/my-project/locations/" + location + "/publishers/"

// sorted is a JSON text whose members are in order.
func sorted(text string) string { return gjson.Get(text, `@pretty:{"sortKeys":true}`).Raw }

func TestModelsAreAskedWhereTheyAre(t *testing.T) {
	g := newGoogle(t)
	g.asked = make(chan asked, 1)
	for _, tt := range []struct {
		name, publisher string
		change          func(a *gateway.Attempt)
		want            asked
		answer          string
	}{
		{"google, whole", Google, func(a *gateway.Attempt) {}, asked{parent + "google/models/gemini:generateContent", "", questions[Google]}, answer},
		{"google, in full", Google, func(a *gateway.Attempt) { a.Model = "models/gemini" }, asked{parent + "google/models/gemini:generateContent", "", questions[Google]}, answer},
		{"google, counted", Google, func(a *gateway.Attempt) {
			a.Operation, a.Body = dialect.CountTokens, []byte(`{"model":"models/alias","contents":[]}`)
		},
			asked{parent + "google/models/gemini:countTokens", "", `{"model":"projects/my-project/locations/` + location + `/publishers/google/models/gemini","contents":[]}`},
			`{"totalTokens":37,"totalBillableCharacters":90}`},
		{"anthropic, whole", Anthropic, func(a *gateway.Attempt) {}, asked{parent + "anthropic/models/claude:rawPredict", "",
			`{"max_tokens":16,"messages":[{"role":"user","content":"ping"}],"anthropic_version":"vertex-2023-10-16"}`}, message},
		{"anthropic, counted", Anthropic, func(a *gateway.Attempt) { a.Operation = dialect.CountTokens }, asked{parent + "anthropic/models/count-tokens:rawPredict", "",
			`{"model":"claude","max_tokens":16,"messages":[{"role":"user","content":"ping"}],"anthropic_version":"vertex-2023-10-16"}`}, `{"input_tokens":37}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := g.provider(t, tt.publisher, func(p *Provider) { p.Names = nil })
			a := ask(tt.publisher, false)
			tt.change(a)
			reply, err := p.Send(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if got := <-g.asked; got != tt.want || string(reply.Body) != tt.answer {
				t.Errorf("asked was %+v, want %+v; answered %s", got, tt.want, reply.Body)
			}
		})
	}
}

// Google's official client of Go asks as the gateway does.
func TestRequestsAreThoseOfGooglesClient(t *testing.T) {
	g := newGoogle(t)
	g.asked = make(chan asked, 1)
	p := g.provider(t, Google, nil)
	client, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		Backend: genai.BackendVertexAI, Project: "my-project", Location: location, HTTPOptions: genai.HTTPOptions{BaseURL: g.models, APIVersion: "v1"},
		Credentials: auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: given{}}),
		HTTPClient:  &http.Client{Transport: bearer{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{false, true} {
		if stream {
			for _, err := range client.Models.GenerateContentStream(t.Context(), "gemini", genai.Text("ping"), nil) {
				if err != nil {
					t.Fatal(err)
				}
			}
		} else if _, err := client.Models.GenerateContent(t.Context(), "gemini", genai.Text("ping"), nil); err != nil {
			t.Fatal(err)
		}
		holdTo(t, g, p, Google, stream)
	}
}

// So does Anthropic's.
func TestRequestsAreThoseOfAnthropicsClient(t *testing.T) {
	g := newGoogle(t)
	g.asked = make(chan asked, 1)
	p := g.provider(t, Anthropic, nil)
	client := anthropic.NewClient(
		vertex.WithCredentials(t.Context(), location, "my-project", &googleauth.Credentials{TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: canary + "-0"})}),
		option.WithBaseURL(g.models), option.WithMaxRetries(0),
	)
	params := anthropic.MessageNewParams{Model: "claude", MaxTokens: 16, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("ping"))}}
	for _, stream := range []bool{false, true} {
		if stream {
			s := client.Messages.NewStreaming(t.Context(), params)
			for s.Next() {
			}
			if err := s.Err(); err != nil {
				t.Fatal(err)
			}
		} else if _, err := client.Messages.New(t.Context(), params); err != nil {
			t.Fatal(err)
		}
		holdTo(t, g, p, Anthropic, stream)
	}
	if _, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: "claude", Messages: params.Messages}); err != nil {
		t.Fatal(err)
	}
	if got := <-g.asked; got.path != parent+"anthropic/models/count-tokens:rawPredict" {
		t.Errorf("the official client counts at %s", got.path)
	}
}

// holdTo has the provider send the body that an official client has sent, as the gateway's client would have written it.
func holdTo(t *testing.T, g *google, p *Provider, publisher string, stream bool) {
	t.Helper()
	theirs := <-g.asked
	a := ask(publisher, stream)
	a.Body = []byte(theirs.body)
	if publisher == Anthropic {
		a.Body = dialect.Set(a.Body, "model", []byte(`"alias"`))
	}
	reply, err := p.Send(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if stream {
		reply.Stream.Close()
	}
	ours := <-g.asked
	if ours.path != theirs.path || ours.query != theirs.query || sorted(ours.body) != sorted(theirs.body) {
		t.Errorf("stream %t: sent %+v, the official client %+v", stream, ours, theirs)
	}
}

// given is a token that somebody has.
type given struct{}

func (given) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: canary + "-0"}, nil
}

// bearer adds it to requests.
type bearer struct{}

func (bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+canary+"-0")
	return http.DefaultTransport.RoundTrip(r)
}
