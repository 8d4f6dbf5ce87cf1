package openai

import (
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

// responsesFormat is how a server answers that has the Responses API.
var responsesFormat = exchange.Format{
	ParseError: openaiapi.Format.ParseError, IsError: openaiapi.Format.IsError, UsageOf: responses.UsageOf,
	Reader: func(header func(string) string) exchange.Reader { return &responsesReader{header: header} },
}

// responsesReader reads along with a stream of the Responses API.
type responsesReader struct {
	header func(name string) string
	begun  bool
	usage  dialect.Usage
}

// Read judges an event's data. One that is malformed does not end an answer that goes on. An answer that failed is told in
// the provider's own words, with all of it that there is, unless nothing was told yet.
func (r *responsesReader) Read(data []byte) exchange.Verdict {
	if !gjson.ValidBytes(data) {
		return exchange.Verdict{}
	}
	e := responses.ReadEvent(data)
	if e.Ends() || e.Fails() {
		if usage, ok := responses.UsageOf(e.Response); ok {
			r.usage = usage
		}
	}
	switch {
	case e.Ends():
		return exchange.Verdict{Last: true}
	case e.Fails():
		failure := r.failure(e, data)
		failure.Told = r.begun && e.Response != nil
		return exchange.Verdict{Err: failure, Pass: failure.Told}
	}
	r.begun = true
	return exchange.Verdict{Pass: true}
}

// failure is the error that an event tells: an error by itself, or that of an answer which failed.
func (r *responsesReader) failure(e responses.Event, data []byte) *dialect.Error {
	if e.Response != nil {
		data = e.Response
	}
	status := http.StatusBadGateway
	if code := gjson.GetBytes(data, "error.code").Str; code == "rate_limit_exceeded" || gjson.GetBytes(data, "code").Str == "rate_limit_exceeded" {
		status = http.StatusTooManyRequests
	}
	return wire.ParseError(status, r.header, data)
}

// Usage is what the provider counted.
func (r *responsesReader) Usage() dialect.Usage { return r.usage }
