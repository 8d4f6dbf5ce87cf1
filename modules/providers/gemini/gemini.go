// Package gemini is the provider of Google's Gemini API, and of servers that speak it.
package gemini

import (
	"fmt"
	"net/url"
	"os"
	"path"
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
	googleBase    = "https://generativelanguage.googleapis.com"
	googleVersion = "/v1beta"
	googleModel   = "gemini-flash-latest"
)

// keyVariables hold the credential, most usual first.
var keyVariables = []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}

// Provider sends calls to Google's Gemini API.
type Provider struct {
	// BaseURLs are the API's addresses, with or without its version; several share the calls in turn. Default: {env.GOOGLE_GEMINI_BASE_URL},
	// else Google's. The version is v1beta where the address has none.
	BaseURLs []string `json:"base_url,omitempty"`
	// APIKey is the credential, as a placeholder; it is read when it is used, so the config holds no secret. Default: {env.GEMINI_API_KEY},
	// else {env.GOOGLE_API_KEY}, where BaseURLs is not set, none else.
	APIKey string `json:"api_key,omitempty"`
	// Names lists the models that this provider serves. Default: all whose name begins with gemini or gemma, and tuned ones, for Google's own
	// address, else whatever a client asks for.
	Names []string `json:"models,omitempty"`
	// Default is the model of calls that name only the provider. Default: the first of Names, else gemini-flash-latest for Google's own
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

	own    bool // the address is Google's own
	client exchange.Client
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.gemini", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variables that turn the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return keyVariables }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	if len(p.BaseURLs) == 0 {
		base := os.Getenv("GOOGLE_GEMINI_BASE_URL")
		if base == "" {
			base = googleBase
		}
		p.BaseURLs = []string{base}
		if p.APIKey == "" {
			p.APIKey = usualKey()
		}
	}
	addresses := make([]string, len(p.BaseURLs))
	repl := caddy.NewReplacer()
	for i, base := range p.BaseURLs {
		base = strings.TrimSuffix(repl.ReplaceAll(base, ""), "/")
		p.own = p.own || base == googleBase || strings.HasPrefix(base, googleBase+"/")
		if !versioned(base) { // the official SDKs are told addresses without the version
			base += googleVersion
		}
		addresses[i] = base
	}
	if err := p.client.Set(addresses, googleBase); err != nil {
		return err
	}
	if p.Default == "" && len(p.Names) > 0 {
		p.Default = p.Names[0]
	}
	if p.Default == "" && p.own {
		p.Default = googleModel
	}
	p.client.Key.Placeholder, p.client.Sign = p.APIKey, sign
	p.client.FirstToken, p.client.Idle, p.client.Total = time.Duration(p.FirstTokenTimeout), time.Duration(p.IdleTimeout), time.Duration(p.Timeout)
	p.client.Open(time.Duration(p.ConnectTimeout))
	return nil
}

// usualKey is the placeholder of the variable that is set; of the most usual one where none is.
func usualKey() string {
	for _, variable := range keyVariables {
		if os.Getenv(variable) != "" {
			return "{env." + variable + "}"
		}
	}
	return "{env." + keyVariables[0] + "}"
}

// versioned says whether an address ends in a version of the API.
func versioned(base string) bool {
	u, err := url.Parse(base)
	return err == nil && strings.HasPrefix(path.Base(u.Path), "v1")
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

// Dialect is Google's.
func (*Provider) Dialect() dialect.Name { return dialect.Gemini }

// AtVendor says whether the address is Google's own.
func (p *Provider) AtVendor() bool { return p.own }

// Serves says whether the provider takes a model: those of its list. Where it has none, Google itself takes what is named as its
// models are, so that a provider of other models beside it is found by their names, and other servers take all.
func (p *Provider) Serves(model string) bool {
	switch {
	case len(p.Names) > 0:
		return slices.Contains(p.Names, model)
	case p.own:
		return slices.ContainsFunc([]string{"gemini", "gemma", "models/", "tunedModels/"}, func(prefix string) bool { return strings.HasPrefix(model, prefix) })
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
