package anthropic

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = `{"model":"alias","max_tokens":16,"messages":[{"role":"user","content":"ping"}]}`
	answer   = `{"id":"msg_1","type":"message","role":"assistant","model":"small","content":[{"type":"text","text":"pong"}],"stop_reason":"end_turn","stop_sequence":null,` +
		`"usage":{"input_tokens":7,"cache_read_input_tokens":20,"cache_creation_input_tokens":10,"output_tokens":2}}`

	begin = "event: message_start\n" + `data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"small","content":[],"stop_reason":null,"stop_sequence":null,` +
		`"usage":{"input_tokens":7,"cache_read_input_tokens":20,"cache_creation_input_tokens":10,"output_tokens":1}}}` + "\n\n"
	ping    = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	opening = "event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n"
	pong    = "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pong"}}` + "\n\n"
	closing = "event: content_block_stop\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n"
	delta   = "event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}` + "\n\n"
	stop    = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

	overloaded = "event: error\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` + "\n\n"
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
