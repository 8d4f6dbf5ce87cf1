package azure

import (
	"context"
	"net/url"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

var paths = map[dialect.Operation]string{
	dialect.Chat:       "/chat/completions",
	dialect.Embeddings: "/embeddings",
}

// Send makes one attempt. The body has the deployment in the place of the model, which the newer form of the API goes by.
func (p *Provider) Send(ctx context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
	path, ok := paths[attempt.Operation]
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidRequest, "an azure provider has no operation %q; ask a model of another provider", attempt.Operation)
	}
	name, ok := p.deployment(attempt.Model)
	if !ok || name == "." || name == ".." { // which a path would take for directions
		return nil, dialect.Errorf(dialect.ModelNotFound, "this provider has no deployment of the model %q", attempt.Model)
	}
	deployed := *attempt
	deployed.Model = name
	return p.api.Send(ctx, p.ref(name, path), &deployed)
}

// ref is where a deployment does something.
func (p *Provider) ref(deployment, path string) string {
	if p.Version == VersionOne {
		return "/openai/v1" + path
	}
	return "/openai/deployments/" + url.PathEscape(deployment) + path + "?api-version=" + p.Version
}

// Models lists the models of the config. Azure tells those that could be deployed, not those that are.
func (p *Provider) Models(context.Context) ([]gateway.ProviderModel, error) {
	models := make([]gateway.ProviderModel, len(p.Deployments))
	for i := range p.Deployments {
		models[i] = gateway.ProviderModel{ID: p.Deployments[i].Model}
	}
	return models, nil
}
