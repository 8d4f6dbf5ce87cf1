// Package gemini is the provider of Google's Gemini API, and of servers that speak it.
package gemini

import (
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func init() { caddy.RegisterModule(new(Provider)) }

var vendor = exchange.Vendor{
	Base:         "https://generativelanguage.googleapis.com",
	BaseVariable: "GOOGLE_GEMINI_BASE_URL",
	KeyVariables: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
	Model:        "gemini-flash-latest",
	Prefixes:     []string{"gemini", "gemma", "models/", "tunedModels/"},
	Address:      withVersion,
}

// Provider sends calls to Google's Gemini API. Its addresses are with or without a version, which is v1beta where there is none, and by
// default {env.GOOGLE_GEMINI_BASE_URL}, else Google's with the credential {env.GEMINI_API_KEY}, else {env.GOOGLE_API_KEY}. Google's own
// serves all models whose name begins with gemini or gemma, and tuned ones, by default gemini-flash-latest.
type Provider struct {
	exchange.Config

	client exchange.Client
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.gemini", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variables that turn the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return vendor.KeyVariables }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	p.client.Sign = sign
	return p.Open(&p.client, &vendor)
}

// withVersion adds the API's version to an address without one, as the official SDKs are told it.
func withVersion(base string) string {
	if u, err := url.Parse(base); err == nil && strings.HasPrefix(path.Base(u.Path), "v1") {
		return base
	}
	return base + "/v1beta"
}

// Dialect is Google's.
func (*Provider) Dialect() dialect.Name { return dialect.Gemini }

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
