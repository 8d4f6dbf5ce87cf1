// Package openai is the provider of everything that speaks OpenAI's API: OpenAI itself, Ollama, vLLM, llama.cpp, Groq,
// Mistral, DeepSeek, OpenRouter and the like. Azure OpenAI has a provider of its own.
package openai

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

func init() { caddy.RegisterModule(new(Provider)) }

const (
	openAIBase  = "https://api.openai.com/v1"
	openAIKey   = "{env.OPENAI_API_KEY}"
	openAIModel = "gpt-4.1-mini"
)

// Provider sends calls to an OpenAI-compatible API.
type Provider struct {
	// BaseURLs are the API's addresses, up to and with /v1; several share the calls in turn. Default: {env.OPENAI_BASE_URL}, else OpenAI's.
	BaseURLs []string `json:"base_url,omitempty"`
	// APIKey is the credential, as a placeholder; it is read when it is used, so the config holds no secret. Default: {env.OPENAI_API_KEY}
	// where BaseURLs is not set, none else.
	APIKey string `json:"api_key,omitempty"`
	// Names lists the models that this provider serves. Default: whatever a client asks for is passed on.
	Names []string `json:"models,omitempty"`
	// Default is the model of calls that name only the provider. Default: the first of Names, else gpt-4.1-mini for OpenAI's own
	// address, else the first that the server lists.
	Default string `json:"default_model,omitempty"`
	// Surfaces are what the server has: chat, embeddings, responses, completions, images, audio, moderations and files. Calls of other
	// surfaces do not go to it, but for those of the Responses API, which are translated into chat. Default: all of them for OpenAI's
	// own address; chat, embeddings and completions for any other.
	Surfaces []gateway.Capability `json:"surfaces,omitempty"`
	// Schema is the form in which the server is asked for structured output: json_schema, json_object or none.
	// Default: none for DeepSeek's address, else json_schema.
	Schema string `json:"structured_output,omitempty"`
	// ConnectTimeout bounds the dial and the TLS handshake, each. Default: as llm_proxy says, else 3s.
	ConnectTimeout caddy.Duration `json:"connect_timeout,omitempty"`
	// FirstTokenTimeout bounds the wait for the first event of a stream, and for a whole answer's head. Default: as llm_proxy says, else 60s.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`
	// IdleTimeout bounds the wait between two events, and between two reads of a whole answer. Default: as llm_proxy says, else 120s.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`
	// Timeout bounds an attempt, to the end of its answer. Default: as llm_proxy says, else none.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	api openaiapi.Sender
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.openai", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variable that turns the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return []string{"OPENAI_API_KEY"} }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	if len(p.BaseURLs) == 0 {
		base := os.Getenv("OPENAI_BASE_URL")
		if base == "" {
			base = openAIBase
		}
		p.BaseURLs = []string{base}
		if p.APIKey == "" {
			p.APIKey = openAIKey
		}
	}
	if err := p.api.Set(p.BaseURLs, openAIBase); err != nil {
		return err
	}
	if p.Default == "" && len(p.Names) > 0 {
		p.Default = p.Names[0]
	}
	if p.Default == "" && p.AtVendor() {
		p.Default = openAIModel
	}
	if len(p.Surfaces) == 0 {
		p.Surfaces = defaultSurfaces(p.BaseURLs)
	}
	if p.Schema == "" {
		p.Schema = formOf(p.BaseURLs)
	}
	p.api.Key.Placeholder, p.api.Sign = p.APIKey, sign
	p.api.FirstToken, p.api.Idle, p.api.Total = time.Duration(p.FirstTokenTimeout), time.Duration(p.IdleTimeout), time.Duration(p.Timeout)
	p.api.Open(time.Duration(p.ConnectTimeout))
	return nil
}

// Validate refuses a missing credential and unknown words.
func (p *Provider) Validate() error {
	if err := p.api.Key.Check(); err != nil {
		return err
	}
	if err := checkSurfaces(p.Surfaces); err != nil {
		return err
	}
	switch p.Schema {
	case SchemaStandard, SchemaObject, SchemaNone:
	default:
		return fmt.Errorf("structured_output: %q is none of json_schema, json_object and none", p.Schema)
	}
	if p.Default != "" && !p.Serves(p.Default) {
		return fmt.Errorf("default_model: %q is none of models", p.Default)
	}
	return nil
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (p *Provider) Cleanup() error {
	p.api.Close()
	return nil
}

// Dialect is OpenAI's.
func (p *Provider) Dialect() dialect.Name { return dialect.OpenAI }

// Speaks knows the Responses API where the server has it.
func (p *Provider) Speaks(name dialect.Name) bool {
	return name == dialect.OpenAI || name == dialect.Responses && p.Can(gateway.CanResponses)
}

// AtVendor says whether an address is OpenAI's own.
func (p *Provider) AtVendor() bool { return slices.ContainsFunc(p.BaseURLs, isOpenAI) }

// isOpenAI says the same of an address as the config has it.
func isOpenAI(base string) bool {
	return strings.TrimSuffix(caddy.NewReplacer().ReplaceAll(base, ""), "/") == openAIBase
}

// Serves says whether the provider takes a model: those of its list, or all where it has none.
func (p *Provider) Serves(model string) bool {
	return len(p.Names) == 0 || slices.Contains(p.Names, model)
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
	_ gateway.Polyglot   = (*Provider)(nil)
	_ gateway.SwitchedOn = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ gateway.Capable    = (*Provider)(nil)
	_ gateway.Addressed  = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
	_ caddy.CleanerUpper = (*Provider)(nil)
)
