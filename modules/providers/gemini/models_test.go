package gemini

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestConfig(t *testing.T) {
	providertest.RunConfig(t, providertest.Config{
		New:          func() providertest.Vendored { return new(Provider) },
		Base:         "https://generativelanguage.googleapis.com",
		BaseVariable: "GOOGLE_GEMINI_BASE_URL",
		KeyVariables: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
		Model:        "gemini-flash-latest",
		Models:       []string{"gemini-x", "gemma-x", "tunedModels/x", "models/x"},
		Others:       []string{"gpt-x", "claude-x"},
		List:         list,
		Listed:       []gateway.ProviderModel{{ID: "small"}, {ID: "tunedModels/mine"}, {ID: "vectors"}}, // those that chat or embed
	})
}
