// Package geminiapi is what providers of Google's generative models have in common, wherever their API is: which method an
// attempt is for, what its body says, and how answers are read. Addresses and credentials are the providers' own.
package geminiapi

import (
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

// Format is how the models answer.
var Format = exchange.Format{
	ParseError: func(status int, header func(string) string, body []byte) error {
		return wire.ParseError(status, header, body)
	},
	IsError: func(body []byte) bool { return !new(wire.Tally).Add(body) },
	UsageOf: wire.UsageOf,
	Reader:  func(header func(string) string) exchange.Reader { return &reader{header: header} },
}

// Ref is an attempt's address below that of the API: a model's resource, as in models/gemini-flash-latest, with the method. A
// stream is asked for in server-sent events. The error is of an operation that the models do not have.
func Ref(resource string, attempt *gateway.Attempt) (string, error) {
	var method string
	switch attempt.Operation {
	case dialect.Chat:
		method = wire.MethodGenerate
		if attempt.Stream {
			method = wire.MethodStream + "?alt=sse"
		}
	case dialect.CountTokens:
		method = wire.MethodCount
	case dialect.Embeddings:
		method = wire.MethodEmbed
		if gjson.GetBytes(attempt.Body, "requests").Exists() {
			method = wire.MethodEmbedBatch
		}
	default:
		return "", dialect.Errorf(dialect.InvalidRequest, "Google's API has no operation %q; ask a model of another provider", attempt.Operation)
	}
	return "/" + escape(resource) + ":" + method, nil
}

// escape keeps a resource's name one path below the API's, whatever a client calls its model: a slash is part of a path
// only behind the collection.
func escape(resource string) string {
	collection, name, ok := strings.Cut(resource, "/")
	if !ok {
		return url.PathEscape(resource)
	}
	return collection + "/" + url.PathEscape(name)
}

// Body is an attempt's body with the model's resource wherever it names one.
func Body(resource string, attempt *gateway.Attempt) []byte {
	return attempt.Splice(wire.ModelEdits(attempt.Body, resource)...)
}
