package analyze

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// aliases are the names that clients know vendors by, whatever the config calls the provider.
var aliases = []struct {
	name, vendor string
	speaks       dialect.Name
}{
	{"gemini", "gemini", dialect.Gemini},
	{"claude", "anthropic", dialect.Anthropic},
	{"anthropic", "anthropic", dialect.Anthropic},
	{"gpt-4", "openai", dialect.OpenAI},
	{"gpt", "openai", dialect.OpenAI},
	{"openai", "openai", dialect.OpenAI},
}

const (
	providerNamespace = "llm_gateway.providers."
	// demoModule is the provider that stands in for every other where it is the only one.
	demoModule caddy.ModuleID = providerNamespace + "demo"
)

func moduleOf(up *gateway.Upstream) caddy.ModuleID {
	if module, ok := up.Provider.(caddy.Module); ok {
		return module.CaddyModule().ID
	}
	return ""
}

func isDemo(up *gateway.Upstream) bool { return moduleOf(up) == demoModule }

// providerOf finds the provider that an alias means: the one with the vendor's name, else the first one at the vendor's own address,
// else the first of the vendor's module, else the first that speaks the vendor's dialect. Nil where there is none.
func providerOf(upstreams []*gateway.Upstream, vendor string, speaks dialect.Name) *gateway.Upstream {
	var best *gateway.Upstream
	least := 4
	for _, up := range upstreams {
		rank := 4
		switch {
		case up.Name == vendor:
			rank = 0
		case isDemo(up): // it makes its answers up
		case moduleOf(up) == caddy.ModuleID(providerNamespace+vendor) && atVendor(up):
			rank = 1
		case moduleOf(up) == caddy.ModuleID(providerNamespace+vendor):
			rank = 2
		case up.Provider.Dialect() == speaks:
			rank = 3
		}
		if rank < least {
			best, least = up, rank
		}
	}
	return best
}

func atVendor(up *gateway.Upstream) bool {
	addressed, ok := up.Provider.(gateway.Addressed)
	return ok && addressed.AtVendor()
}
