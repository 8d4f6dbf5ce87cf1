// Package openaiapi is what providers of OpenAI's API have in common, wherever it is and however they are known there: what is sent,
// and how the answers are read.
package openaiapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// Sender makes attempts at one API.
type Sender struct {
	exchange.Client

	// plain is set once the server has refused stream_options.
	plain atomic.Bool
}

// Send makes one attempt at what is at ref. The body differs from the client's in the model, in the edits, and, for a stream, in
// asking for its usage.
func (s *Sender) Send(ctx context.Context, ref string, attempt *gateway.Attempt, edits ...dialect.Edit) (*gateway.Reply, error) {
	edits = append(slices.Grow(edits, 2), dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)})
	ask := attempt.Stream && !attempt.WantUsage && !s.plain.Load()
	reply, err := s.send(ctx, ref, attempt, edits, ask)
	if errors.Is(err, errUsageRefused) {
		if reply, err = s.send(ctx, ref, attempt, edits, false); err == nil {
			s.plain.Store(true)
		}
	}
	return reply, err
}

func (s *Sender) send(ctx context.Context, ref string, attempt *gateway.Attempt, edits []dialect.Edit, askUsage bool) (*gateway.Reply, error) {
	format := &Format
	if askUsage {
		format = &askedFormat
		edits = append(edits, wire.UsageEdit(attempt.Body))
	}
	return s.Client.Send(ctx, ref, attempt.Splice(edits...), attempt, format)
}

// errUsageRefused is a server's refusal to tell the usage of a stream, which many servers do not know how to.
var errUsageRefused = errors.New("the server does not take stream_options")

// refusesUsage says whether a refusal is of stream_options. Servers say so in shapes of their own, some with 422.
func refusesUsage(status int, body []byte) bool {
	return (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && bytes.Contains(body, []byte("stream_options"))
}

// Format is how the API answers.
var Format = exchange.Format{
	ParseError: parseError, IsError: isError, UsageOf: wire.UsageOf,
	Reader: func(header func(string) string) exchange.Reader { return &reader{header: header} },
}

// askedFormat is how it answers where the gateway asked for a stream's usage, not the client.
var askedFormat = exchange.Format{
	ParseError: func(status int, header func(string) string, body []byte) error {
		if refusesUsage(status, body) {
			return errUsageRefused
		}
		return parseError(status, header, body)
	},
	IsError: isError, UsageOf: wire.UsageOf,
	Reader: func(header func(string) string) exchange.Reader { return &reader{header: header, strip: true} },
}

func parseError(status int, header func(string) string, body []byte) error {
	return wire.ParseError(status, header, body)
}

// isError looks at all of a body only where it may be one: it judges each event of a stream.
func isError(body []byte) bool {
	return bytes.Contains(body, errorName) && gjson.GetBytes(body, "error").IsObject()
}

var errorName = []byte(`"error"`)
