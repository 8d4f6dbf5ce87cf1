package openai

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

var paths = map[dialect.Operation]string{
	dialect.Chat:       "/chat/completions",
	dialect.Embeddings: "/embeddings",
}

// Send makes one attempt. The body differs from the client's in the model and, for a stream, in asking for its usage.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	if attempt.Dialect == dialect.Responses {
		body := attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)})
		return p.client.Send(ctx, "/responses", body, attempt, &responsesFormat)
	}
	path, ok := paths[attempt.Operation]
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidRequest, "an OpenAI-compatible provider has no operation %q", attempt.Operation)
	}
	ask := attempt.Stream && !attempt.WantUsage && !p.plain.Load()
	reply, err := p.send(ctx, path, attempt, ask)
	if errors.Is(err, errUsageRefused) {
		if reply, err = p.send(ctx, path, attempt, false); err == nil {
			p.plain.Store(true)
		}
	}
	return reply, err
}

// errUsageRefused is a server's refusal to tell the usage of a stream, which many servers do not know how to.
var errUsageRefused = errors.New("the server does not take stream_options")

// refusesUsage says whether a refusal is of stream_options. Servers say so in shapes of their own, some with 422.
func refusesUsage(status int, body []byte) bool {
	return (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && bytes.Contains(body, []byte("stream_options"))
}

func (p *Provider) send(ctx context.Context, path string, attempt *gateway.Attempt, askUsage bool) (*gateway.Reply, error) {
	return p.client.Send(ctx, path, p.body(attempt, askUsage), attempt, format(askUsage))
}

// format is how the server answers. askUsage says that the gateway asked for a stream's usage, not the client.
func format(askUsage bool) *exchange.Format {
	if askUsage {
		return &askedFormat
	}
	return &plainFormat
}

var (
	plainFormat = exchange.Format{
		ParseError: parseError, IsError: isError, UsageOf: wire.UsageOf,
		Reader: func(header func(string) string) exchange.Reader { return &reader{header: header} },
	}
	askedFormat = exchange.Format{
		ParseError: func(status int, header func(string) string, body []byte) error {
			if refusesUsage(status, body) {
				return errUsageRefused
			}
			return wire.ParseError(status, header, body)
		},
		IsError: isError, UsageOf: wire.UsageOf,
		Reader: func(header func(string) string) exchange.Reader { return &reader{header: header, strip: true} },
	}
)

func parseError(status int, header func(string) string, body []byte) error {
	return wire.ParseError(status, header, body)
}

func isError(body []byte) bool { return gjson.GetBytes(body, "error").IsObject() }

// body is the client's with the provider's model in it.
func (p *Provider) body(attempt *gateway.Attempt, askUsage bool) []byte {
	edits := []dialect.Edit{{Name: "model", Value: dialect.String(nil, attempt.Model)}}
	if p.Schema != SchemaStandard {
		if edit, ok := schemaEdit(attempt.Body, p.Schema); ok {
			edits = append(edits, edit)
		}
	}
	if askUsage {
		edits = append(edits, wire.UsageEdit(attempt.Body))
	}
	return attempt.Splice(edits...)
}

// schemaEdit rewrites a response_format of type json_schema into the server's own form.
func schemaEdit(body []byte, form string) (dialect.Edit, bool) {
	format := gjson.GetBytes(body, "response_format")
	schema := format.Get("json_schema.schema")
	if format.Get("type").Str != "json_schema" || !schema.IsObject() {
		return dialect.Edit{}, false
	}
	if form == SchemaNone {
		return dialect.Edit{Name: "response_format"}, true
	}
	return dialect.Edit{Name: "response_format", Value: []byte(`{"type":"json_object","schema":` + schema.Raw + `}`)}, true
}

// sign sends the key as the server wants it: Azure's own hosts take a key as api-key, all others as a bearer token.
func sign(req *http.Request, secret string) {
	if secret == "" {
		return
	}
	if host := req.URL.Hostname(); strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com") {
		req.Header["Api-Key"] = []string{secret}
		return
	}
	req.Header["Authorization"] = []string{"Bearer " + secret}
}
