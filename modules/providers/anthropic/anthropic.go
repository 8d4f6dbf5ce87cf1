// Package anthropic is the provider of Anthropic's Messages API, and of servers that speak it.
package anthropic

import (
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func init() { caddy.RegisterModule(new(Provider)) }

var vendor = exchange.Vendor{
	Base:         "https://api.anthropic.com",
	BaseVariable: "ANTHROPIC_BASE_URL",
	KeyVariables: []string{"ANTHROPIC_API_KEY"},
	Model:        "claude-haiku-4-5",
	Prefixes:     []string{"claude"},
	Address:      func(base string) string { return strings.TrimSuffix(base, "/v1") }, // the official SDKs are told addresses without it
}

// Provider sends calls to Anthropic's Messages API. Its addresses are with or without /v1, and by default {env.ANTHROPIC_BASE_URL}, else
// Anthropic's with the credential {env.ANTHROPIC_API_KEY}. Anthropic's own serves all models whose name begins with claude, by default
// claude-haiku-4-5.
type Provider struct {
	exchange.Config

	client exchange.Client
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.anthropic", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variable that turns the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return vendor.KeyVariables }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	p.client.Sign = sign
	return p.Open(&p.client, &vendor)
}

// Dialect is Anthropic's.
func (*Provider) Dialect() dialect.Name { return dialect.Anthropic }

// Interface guards
var (
	_ gateway.Provider   = (*Provider)(nil)
	_ gateway.SwitchedOn = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ gateway.Addressed  = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
	_ caddy.CleanerUpper = (*Provider)(nil)
)
