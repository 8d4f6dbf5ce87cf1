package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = `{"model":"alias","messages":[{"role":"user","content":"ping"}]}`
	answer   = `{"id":"c1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`

	opening = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"small","choices":[{"index":0,"delta":{"role":"assistant","content":"po"},"finish_reason":null}]}` + "\n\n"
	closing = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"small","choices":[{"index":0,"delta":{"content":"ng"},"finish_reason":"stop"}]}` + "\n\n"
	counted = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"small","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}` + "\n\n"
	finish  = "data: [DONE]\n\n"
)

// newProvider provisions a provider of an upstream. set changes its config first.
func newProvider(t testing.TB, base string, set func(p *Provider)) *Provider {
	t.Helper()
	p := new(Provider)
	p.BaseURLs = []string{base}
	if set != nil {
		set(p)
	}
	return providertest.Ready(t, p)
}

func ask(stream bool) *gateway.Attempt {
	return &gateway.Attempt{Operation: dialect.Chat, Model: "small", Body: []byte(question), Stream: stream, RequestID: "req_1"}
}

// openSent sends a streamed call and closes its stream with the test.
func openSent(t testing.TB, p *Provider, a *gateway.Attempt) gateway.Stream {
	t.Helper()
	reply, err := p.Send(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Stream == nil {
		t.Fatalf("the answer is whole: %s", reply.Body)
	}
	t.Cleanup(func() { reply.Stream.Close() })
	return reply.Stream
}

// rest reads a stream to its end.
func rest(s gateway.Stream) (text string, complete bool) {
	for s.Next() {
		text += string(s.Event())
		complete = s.Last()
	}
	return text, complete
}

// sent is what an upstream was sent.
type sent struct {
	header http.Header
	path   string
	body   map[string]json.RawMessage
	raw    string
}

// keep takes a request in.
func keep(t testing.TB, r *http.Request) sent {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	s := sent{header: r.Header.Clone(), path: r.URL.Path, raw: string(raw)}
	if err := json.Unmarshal(raw, &s.body); err != nil && len(raw) > 0 {
		t.Error(err)
	}
	return s
}

func TestOpenAIsAddressIsKnownHoweverItIsWritten(t *testing.T) {
	t.Setenv("TEST_OPENAI", "https://api.openai.com/v1/")
	for _, base := range []string{"https://api.openai.com/v1", "https://api.openai.com/v1/", "{env.TEST_OPENAI}"} {
		p := newProvider(t, base, nil)
		if p.Default != vendor.Model || !p.Can(gateway.CanFiles) {
			t.Errorf("at %s the default model is %q, the surfaces are %v", base, p.Default, p.Surfaces)
		}
	}
	p := newProvider(t, "https://api.openai.com/v1", func(p *Provider) { p.Names = []string{"gpt-5"} })
	if p.Default != "gpt-5" {
		t.Errorf("the default of a provider of gpt-5 alone is %q", p.Default)
	}
}
