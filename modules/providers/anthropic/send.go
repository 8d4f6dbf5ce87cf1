package anthropic

import (
	"context"
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/anthropicapi"
)

var paths = map[dialect.Operation]string{
	dialect.Chat:        "/v1/messages",
	dialect.CountTokens: "/v1/messages/count_tokens",
}

// Send makes one attempt. The body differs from the client's in the model only.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	path, ok := paths[attempt.Operation]
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidRequest, "Anthropic's API has no operation %q; ask a model of another provider", attempt.Operation)
	}
	body := attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)})
	return p.client.Send(ctx, path, body, attempt, &anthropicapi.Format)
}

// sign adds the credential, and says which version of the API is meant where the client did not.
func sign(req *http.Request, secret string) {
	if secret != "" {
		req.Header["X-Api-Key"] = []string{secret}
	}
	if _, ok := req.Header["Anthropic-Version"]; !ok {
		req.Header["Anthropic-Version"] = []string{wire.Version}
	}
}
