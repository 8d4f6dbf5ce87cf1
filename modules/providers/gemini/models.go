package gemini

import (
	"context"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	wire "github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/geminiapi"
)

// Models lists the configured models, else those that the server names and that do what the gateway can ask for, those that can
// chat first.
func (p *Provider) Models(ctx context.Context) ([]gateway.ProviderModel, error) {
	if len(p.Names) > 0 {
		return p.Config.Models(ctx)
	}
	body, err := p.client.List(ctx, "/models", "pageSize=1000", &geminiapi.Format) // the most that the server gives at once
	if err != nil {
		return nil, err
	}
	var chat, others []gateway.ProviderModel
	gjson.GetBytes(body, "models").ForEach(func(_, m gjson.Result) bool {
		model := gateway.ProviderModel{ID: strings.TrimPrefix(m.Get("name").Str, "models/")}
		methods := methodsOf(m)
		switch {
		case model.ID == "" || !p.Serves(model.ID):
		case slices.Contains(methods, wire.MethodGenerate):
			chat = append(chat, model)
		case slices.Contains(methods, wire.MethodEmbed):
			others = append(others, model)
		}
		return true
	})
	return append(chat, others...), nil
}

// methodsOf reads what a model can do. A server that does not tell is taken to chat.
func methodsOf(model gjson.Result) []string {
	told := model.Get("supportedGenerationMethods")
	if !told.Exists() {
		return []string{wire.MethodGenerate}
	}
	var methods []string
	for _, m := range told.Array() {
		methods = append(methods, m.Str)
	}
	return methods
}
