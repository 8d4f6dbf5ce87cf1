package openai

import (
	"context"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

// Models lists the configured models, else those that the server names, those that can chat first.
func (p *Provider) Models(ctx context.Context) ([]gateway.ProviderModel, error) {
	if len(p.Names) > 0 {
		return p.Config.Models(ctx)
	}
	body, err := p.api.List(ctx, "/models", "", &openaiapi.Format)
	if err != nil {
		return nil, err
	}
	var models []gateway.ProviderModel
	gjson.GetBytes(body, "data").ForEach(func(_, m gjson.Result) bool {
		if id := m.Get("id").Str; id != "" {
			models = append(models, gateway.ProviderModel{ID: id, Created: m.Get("created").Int(), OwnedBy: m.Get("owned_by").Str})
		}
		return true
	})
	slices.SortStableFunc(models, func(a, b gateway.ProviderModel) int { return chatRank(a.ID) - chatRank(b.ID) })
	return models, nil
}

// chatRank puts the models last whose names say that they do something other than chat.
func chatRank(id string) int {
	for _, other := range []string{"embed", "whisper", "tts", "dall-e", "image", "moderation", "audio", "realtime", "transcribe", "rerank", "davinci", "babbage", "sora"} {
		if strings.Contains(strings.ToLower(id), other) {
			return 1
		}
	}
	return 0
}
