package geminiapi

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// reader reads along with a stream.
type reader struct {
	header func(name string) string
	tally  wire.Tally
}

// Read judges an event's data. One that is malformed does not end an answer that goes on. No event is the last one by what it
// says: whoever has told why the answer ended may still tell what it used.
func (r *reader) Read(data []byte) exchange.Verdict {
	if !gjson.ValidBytes(data) {
		return exchange.Verdict{}
	}
	if !r.tally.Add(data) {
		return exchange.Verdict{Err: wire.ParseError(wire.StatusOf(data), r.header, data)}
	}
	return exchange.Verdict{Pass: true, Ending: r.tally.Complete()}
}

// Usage is what the provider counted.
func (r *reader) Usage() dialect.Usage { return r.tally.Usage() }
