package gemini

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = `{"contents":[{"role":"user","parts":[{"text":"ping"}]}]}`
	used     = `"usageMetadata":{"promptTokenCount":37,"cachedContentTokenCount":20,"candidatesTokenCount":2,"thoughtsTokenCount":5,"totalTokenCount":44},"modelVersion":"small-001","responseId":"r"`
	answer   = `{"candidates":[{"content":{"parts":[{"text":"pong"}],"role":"model"},"finishReason":"STOP","index":0}],` + used + `}`
	refusal  = `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`
)

// Events of streams.
var (
	po      = event(`{"candidates":[{"content":{"parts":[{"text":"po"}],"role":"model"},"index":0}],` + used + `}`)
	ng      = event(`{"candidates":[{"content":{"parts":[{"text":"ng"}],"role":"model"},"finishReason":"STOP","index":0}],` + used + `}`)
	second  = event(`{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"index":1}]}`)
	closing = event(`{"candidates":[{"finishReason":"STOP","index":1}]}`)
	usage   = event(`{` + used + `}`)
	blocked = event(`{"promptFeedback":{"blockReason":"SAFETY"},` + used + `}`)
	failing = event(refusal)
)

func event(data string) string { return "data: " + data + "\n\n" }

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

// readStream gives what a client of a stream gets, and says whether it was complete.
func readStream(t testing.TB, p *Provider) (text string, complete bool, s gateway.Stream) {
	t.Helper()
	reply, err := p.Send(t.Context(), ask(true))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Stream.Close()
	var b strings.Builder
	for reply.Stream.Next() {
		if complete {
			t.Error("an event comes behind the last one")
		}
		b.Write(reply.Stream.Event())
		complete = reply.Stream.Last()
	}
	return b.String(), complete, reply.Stream
}
