package anthropic

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

const list = `{"data":[{"type":"model","id":"small","display_name":"Small","created_at":"2025-10-01T00:00:00Z"},{"type":"model","id":"old","created_at":"1970-01-01T00:00:00Z"},{"id":""}],"has_more":false}`

func TestConfig(t *testing.T) {
	providertest.RunConfig(t, providertest.Config{
		New:          func() providertest.Vendored { return new(Provider) },
		Base:         "https://api.anthropic.com",
		BaseVariable: "ANTHROPIC_BASE_URL",
		KeyVariables: []string{"ANTHROPIC_API_KEY"},
		Model:        "claude-haiku-4-5",
		Models:       []string{"claude-x"},
		Others:       []string{"gpt-x"},
		List:         list,
		Listed:       []gateway.ProviderModel{{ID: "small", Created: 1759276800}, {ID: "old"}},
	})
}
