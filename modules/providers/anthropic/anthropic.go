// Package anthropic is the provider of Anthropic's Messages API, and of servers that speak it.
package anthropic

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func init() { caddy.RegisterModule(new(Provider)) }

const (
	anthropicBase  = "https://api.anthropic.com"
	anthropicKey   = "{env.ANTHROPIC_API_KEY}"
	anthropicModel = "claude-haiku-4-5"
)

// Provider sends calls to Anthropic's Messages API.
type Provider struct {
	// BaseURLs are the API's addresses, with or without /v1; several share the calls in turn. Default: {env.ANTHROPIC_BASE_URL}, else Anthropic's.
	BaseURLs []string `json:"base_url,omitempty"`
	// APIKey is the credential, as a placeholder; it is read when it is used, so the config holds no secret. Default: {env.ANTHROPIC_API_KEY}
	// where BaseURLs is not set, none else.
	APIKey string `json:"api_key,omitempty"`
	// Names lists the models that this provider serves. Default: all whose name begins with claude for Anthropic's own address, else
	// whatever a client asks for.
	Names []string `json:"models,omitempty"`
	// Default is the model of calls that name only the provider. Default: the first of Names, else claude-haiku-4-5 for Anthropic's own
	// address, else the first that the server lists.
	Default string `json:"default_model,omitempty"`
	// ConnectTimeout bounds the dial and the TLS handshake, each. Default: as llm_proxy says, else 3s.
	ConnectTimeout caddy.Duration `json:"connect_timeout,omitempty"`
	// FirstTokenTimeout bounds the wait for the first event of a stream, and for a whole answer's head. Default: as llm_proxy says, else 60s.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`
	// IdleTimeout bounds the wait between two events, and between two reads of a whole answer. Default: as llm_proxy says, else 120s.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`
	// Timeout bounds an attempt, to the end of its answer. Default: as llm_proxy says, else none.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	own    bool // the address is Anthropic's own
	client exchange.Client
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.anthropic", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variable that turns the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return []string{"ANTHROPIC_API_KEY"} }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	if len(p.BaseURLs) == 0 {
		base := os.Getenv("ANTHROPIC_BASE_URL")
		if base == "" {
			base = anthropicBase
		}
		p.BaseURLs = []string{base}
		if p.APIKey == "" {
			p.APIKey = anthropicKey
		}
	}
	addresses := make([]string, len(p.BaseURLs))
	repl := caddy.NewReplacer()
	for i, base := range p.BaseURLs {
		base = repl.ReplaceAll(base, "")
		addresses[i] = strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/v1") // the official SDKs are told addresses without it
		p.own = p.own || addresses[i] == anthropicBase
	}
	if err := p.client.Set(addresses, anthropicBase); err != nil {
		return err
	}
	if p.Default == "" && len(p.Names) > 0 {
		p.Default = p.Names[0]
	}
	if p.Default == "" && p.own {
		p.Default = anthropicModel
	}
	p.client.Key.Placeholder, p.client.Sign = p.APIKey, sign
	p.client.FirstToken, p.client.Idle, p.client.Total = time.Duration(p.FirstTokenTimeout), time.Duration(p.IdleTimeout), time.Duration(p.Timeout)
	p.client.Open(time.Duration(p.ConnectTimeout))
	return nil
}

// Validate refuses a missing credential and a default that is not served.
func (p *Provider) Validate() error {
	if err := p.client.Key.Check(); err != nil {
		return err
	}
	if p.Default != "" && !p.Serves(p.Default) {
		return fmt.Errorf("default_model: %q is none of models", p.Default)
	}
	return nil
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (p *Provider) Cleanup() error {
	p.client.Close()
	return nil
}

// Dialect is Anthropic's.
func (*Provider) Dialect() dialect.Name { return dialect.Anthropic }

// AtVendor says whether the address is Anthropic's own.
func (p *Provider) AtVendor() bool { return p.own }

// Serves says whether the provider takes a model: those of its list. Where it has none, Anthropic itself takes what is named as its
// models are, so that a provider of other models beside it is found by their names, and other servers take all.
func (p *Provider) Serves(model string) bool {
	switch {
	case len(p.Names) > 0:
		return slices.Contains(p.Names, model)
	case p.own:
		return strings.HasPrefix(model, "claude")
	}
	return true
}

// NamesModel says whether the config names a model, so that metrics may.
func (p *Provider) NamesModel(model string) bool {
	return model == p.Default || slices.Contains(p.Names, model)
}

// DefaultModel is the model of calls that name only the provider.
func (p *Provider) DefaultModel() string { return p.Default }

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
