package openai

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

var paths = map[dialect.Operation]string{
	dialect.Chat:       "/chat/completions",
	dialect.Embeddings: "/embeddings",

	dialect.TextCompletion:  "/completions",
	dialect.ImageGeneration: "/images/generations",
	dialect.ImageEdit:       "/images/edits",
	dialect.ImageVariation:  "/images/variations",
	dialect.Speech:          "/audio/speech",
	dialect.Transcription:   "/audio/transcriptions",
	dialect.Translation:     "/audio/translations",
	dialect.Moderation:      "/moderations",
	dialect.Files:           "/files",
}

// Send makes one attempt. The body differs from the client's in the model and, for a stream, in asking for its usage.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	if attempt.Dialect == dialect.Responses {
		body := attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)})
		return p.api.Client.Send(ctx, "/responses", body, attempt, &responsesFormat)
	}
	path, ok := paths[attempt.Operation]
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidRequest, "an OpenAI-compatible provider has no operation %q", attempt.Operation)
	}
	if passedOn(attempt.Operation) {
		return p.pass(ctx, path, attempt)
	}
	if p.Schema != SchemaStandard {
		return p.api.Send(ctx, path, attempt, schemaEdits(attempt.Body, p.Schema)...)
	}
	return p.api.Send(ctx, path, attempt)
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
