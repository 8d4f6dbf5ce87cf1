// Package openai is the provider of everything that speaks OpenAI's API: OpenAI itself, Ollama, vLLM, llama.cpp, Groq,
// Mistral, DeepSeek, OpenRouter and the like. Azure OpenAI has a provider of its own.
package openai

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

func init() { caddy.RegisterModule(new(Provider)) }

var vendor = exchange.Vendor{
	Base:         "https://api.openai.com/v1",
	BaseVariable: "OPENAI_BASE_URL",
	KeyVariables: []string{"OPENAI_API_KEY"},
	Model:        "gpt-4.1-mini",
}

// Provider sends calls to an OpenAI-compatible API. Its addresses go up to and with /v1, and are by default {env.OPENAI_BASE_URL}, else
// OpenAI's with the credential {env.OPENAI_API_KEY}, whose default model is gpt-4.1-mini. Without a list of models, whatever a client
// asks for is passed on.
type Provider struct {
	exchange.Config
	// Surfaces are what the server has: chat, embeddings, responses, completions, images, audio, moderations and files. Calls of other
	// surfaces do not go to it, but for those of the Responses API, which are translated into chat. Default: all of them for OpenAI's
	// own address; chat, embeddings and completions for any other.
	Surfaces []gateway.Capability `json:"surfaces,omitempty"`
	// Schema is the form in which the server is asked for structured output: json_schema, json_object or none.
	// Default: none for DeepSeek's address, else json_schema.
	Schema string `json:"structured_output,omitempty"`

	api openaiapi.Sender
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.openai", New: func() caddy.Module { return new(Provider) }}
}

// SwitchedOnBy names the variable that turns the provider on in a bare config.
func (*Provider) SwitchedOnBy() []string { return vendor.KeyVariables }

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	p.api.Sign = sign
	if err := p.Open(&p.api.Client, &vendor); err != nil {
		return err
	}
	if len(p.Surfaces) == 0 {
		p.Surfaces = defaultSurfaces(p.BaseURLs)
	}
	if p.Schema == "" {
		p.Schema = formOf(p.BaseURLs)
	}
	return nil
}

// Validate refuses a missing credential and unknown words.
func (p *Provider) Validate() error {
	if err := checkSurfaces(p.Surfaces); err != nil {
		return err
	}
	switch p.Schema {
	case SchemaStandard, SchemaObject, SchemaNone:
	default:
		return fmt.Errorf("structured_output: %q is none of json_schema, json_object and none", p.Schema)
	}
	return p.Config.Validate()
}

// Dialect is OpenAI's.
func (p *Provider) Dialect() dialect.Name { return dialect.OpenAI }

// Speaks knows the Responses API where the server has it.
func (p *Provider) Speaks(name dialect.Name) bool {
	return name == dialect.OpenAI || name == dialect.Responses && p.Can(gateway.CanResponses)
}

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
