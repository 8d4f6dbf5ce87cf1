package anthropic

import (
	"context"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/anthropicapi"
)

// Models lists the configured models, else those that the server names. All of Anthropic's can chat, and the newest come first.
func (p *Provider) Models(ctx context.Context) ([]gateway.ProviderModel, error) {
	if len(p.Names) > 0 {
		return p.Config.Models(ctx)
	}
	body, err := p.client.List(ctx, "/v1/models", "limit=1000", &anthropicapi.Format) // the most that the server gives at once
	if err != nil {
		return nil, err
	}
	var models []gateway.ProviderModel
	gjson.GetBytes(body, "data").ForEach(func(_, m gjson.Result) bool {
		if id := m.Get("id").Str; id != "" && p.Serves(id) {
			models = append(models, gateway.ProviderModel{ID: id, Created: created(m.Get("created_at").Str)})
		}
		return true
	})
	return models, nil
}

// created reads when a model came out; 0 where the server does not say.
func created(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Unix() < 0 {
		return 0
	}
	return at.Unix()
}
