package openai

import (
	"bytes"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

var done = []byte("[DONE]")

// reader reads along with a stream.
type reader struct {
	header func(name string) string
	strip  bool // usage was asked for by the gateway, not by the client
	usage  dialect.Usage
}

// Read judges an event's data. One that is malformed does not end an answer that goes on.
func (r *reader) Read(data []byte) exchange.Verdict {
	if bytes.Equal(data, done) {
		return exchange.Verdict{Last: true}
	}
	if !gjson.ValidBytes(data) {
		return exchange.Verdict{}
	}
	if isError(data) {
		e := wire.ParseError(http.StatusBadGateway, r.header, data)
		e.Retryable = false // of a stream that has begun; who opens it knows better
		return exchange.Verdict{Err: e}
	}
	if usage, ok := wire.UsageOf(data); ok {
		r.usage = usage
	}
	if !r.strip {
		return exchange.Verdict{Pass: true}
	}
	stripped, drop := wire.StripUsage(data)
	if drop {
		return exchange.Verdict{}
	}
	if len(stripped) == len(data) {
		return exchange.Verdict{Pass: true}
	}
	return exchange.Verdict{Pass: true, Data: stripped}
}

// Usage is what the provider counted.
func (r *reader) Usage() dialect.Usage { return r.usage }
