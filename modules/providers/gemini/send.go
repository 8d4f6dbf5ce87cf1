package gemini

import (
	"context"
	"net/http"

	wire "github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/geminiapi"
)

// Send makes one attempt. The body differs from the client's only where it names the model, which the address does.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	resource := wire.Resource(attempt.Model)
	ref, err := geminiapi.Ref(resource, attempt)
	if err != nil {
		return nil, err
	}
	return p.client.Send(ctx, ref, geminiapi.Body(resource, attempt), attempt, &geminiapi.Format)
}

// sign adds the credential to the headers, since addresses are logged.
func sign(req *http.Request, secret string) {
	if secret != "" {
		req.Header["X-Goog-Api-Key"] = []string{secret}
	}
}
