package anthropicapi

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// reader reads along with a stream.
type reader struct {
	header  func(name string) string
	tally   wire.Tally
	started bool
}

// Read judges an event's data. One that is malformed does not end an answer that goes on. Pings pass once the message has begun:
// before that they would keep another provider from being asked.
func (r *reader) Read(data []byte) exchange.Verdict {
	if !gjson.ValidBytes(data) {
		return exchange.Verdict{}
	}
	switch string(r.tally.Add(data)) {
	case "message_start":
		r.started = true
	case "message_stop":
		return exchange.Verdict{Last: true}
	case "error":
		return exchange.Verdict{Err: wire.ParseError(wire.StatusOf(data), r.header, data)}
	}
	return exchange.Verdict{Pass: r.started}
}

// Usage is what the provider counted.
func (r *reader) Usage() dialect.Usage { return r.tally.Usage() }
