package openaiapi

import (
	"bytes"

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

	stripped []byte // an event without its usage
	filtered []byte // what the filter of the prompt said, in an event that was held back
	buf      []byte
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
		return exchange.Verdict{Err: wire.ParseError(wire.StatusOf(data), r.header, data)}
	}
	if usage, ok := wire.UsageOf(data); ok {
		r.usage = usage
	}
	v := exchange.Verdict{Pass: true}
	if r.strip {
		stripped, drop := wire.StripUsage(r.stripped, data)
		if drop {
			return exchange.Verdict{}
		}
		if len(stripped) != len(data) {
			r.stripped = stripped
			v.Data, data = stripped, stripped
		}
	}
	switch {
	case r.filtered != nil:
		r.buf = dialect.Splice(r.buf[:0], data, dialect.Edit{Name: promptFilter, Value: r.filtered})
		v.Data, r.filtered = r.buf, nil
	case bytes.Contains(data, promptFilterName):
		if r.filtered = onlyFiltered(data); r.filtered != nil {
			return exchange.Verdict{}
		}
	}
	return v
}

// promptFilter is the member in which Azure tells what its filter finds in a prompt.
const promptFilter = "prompt_filter_results"

var promptFilterName = []byte(promptFilter + `"`)

// onlyFiltered returns what the filter of the prompt says in an event that says nothing else. Azure begins its streams with one. It is
// no beginning of an answer, and OpenAI's clients take it for granted that an event has a choice; so it joins the next event.
func onlyFiltered(data []byte) []byte {
	var results []byte
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case promptFilter:
			results = value
		case "choices":
			for range dialect.Elements(value) {
				return nil
			}
		}
	}
	return bytes.Clone(results)
}

// Usage is what the provider counted.
func (r *reader) Usage() dialect.Usage { return r.usage }
