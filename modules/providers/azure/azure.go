// Package azure is the provider of Azure OpenAI.
package azure

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

func init() { caddy.RegisterModule(new(Provider)) }

const (
	azureEndpoint = "{env.AZURE_OPENAI_ENDPOINT}"
	azureKey      = "{env.AZURE_OPENAI_API_KEY}"
	anEndpoint    = "https://example.openai.azure.com" // as one should be written
)

// VersionOne is the API without dated versions, which has the deployment in the body as OpenAI's has the model.
const VersionOne = "v1"

// Provider sends calls to deployments of an Azure OpenAI resource.
type Provider struct {
	// Endpoints are the resource's addresses, as in https://example.openai.azure.com; several share the calls in turn. Default:
	// {env.AZURE_OPENAI_ENDPOINT}.
	Endpoints []string `json:"endpoint,omitempty"`
	// Version is the API's: v1, or a date as in 2024-10-21 or 2025-04-01-preview, whose paths name the deployment. Default: v1.
	Version string `json:"api_version,omitempty"`
	// APIKey is the resource's key, as a placeholder; it is read when it is used, so the config holds no secret. Default:
	// {env.AZURE_OPENAI_API_KEY} where Token is not set.
	APIKey string `json:"api_key,omitempty"`
	// Token is an access token of Entra ID in place of a key, as a placeholder. It is read again every ten seconds, so that whoever
	// gets the tokens can replace the file that it is in.
	Token string `json:"token,omitempty"`
	// Deployments are the models that clients may name, with the deployment that each is. Default: whatever a client asks for is
	// taken for a deployment.
	Deployments []Deployment `json:"deployments,omitempty"`
	// Default is the model of calls that name only the provider. Default: the first of Deployments.
	Default string `json:"default_model,omitempty"`
	exchange.Patience

	api openaiapi.Sender
}

// Deployment is a model under the name that the resource gives it.
type Deployment struct {
	// Model is what clients ask for.
	Model string `json:"model"`
	// Name is the deployment's. Default: Model.
	Name string `json:"deployment,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.azure", New: func() caddy.Module { return new(Provider) }}
}

// Provision applies the defaults.
func (p *Provider) Provision(caddy.Context) error {
	if err := p.setEndpoints(); err != nil {
		return err
	}
	if p.Version == "" {
		p.Version = VersionOne
	}
	if p.APIKey == "" && p.Token == "" {
		p.APIKey = azureKey
	}
	for i := range p.Deployments {
		if d := &p.Deployments[i]; d.Name == "" {
			d.Name = d.Model
		}
	}
	if p.Default == "" && len(p.Deployments) > 0 {
		p.Default = p.Deployments[0].Model
	}
	p.api.Key.Placeholder, p.api.Sign = p.APIKey, signWithKey
	if p.Token != "" {
		p.api.Key.Placeholder, p.api.Key.Option, p.api.Sign = p.Token, "token", signWithToken
	}
	p.Open(&p.api.Client)
	return nil
}

// setEndpoints takes addresses as Azure's portal and the official clients have them, of which some go on with /openai or /openai/v1.
func (p *Provider) setEndpoints() error {
	if len(p.Endpoints) == 0 {
		p.Endpoints = []string{azureEndpoint}
	}
	repl := caddy.NewReplacer()
	addresses := make([]string, len(p.Endpoints))
	for i, endpoint := range p.Endpoints {
		if addresses[i] = repl.ReplaceAll(endpoint, ""); addresses[i] == "" {
			return fmt.Errorf("endpoint: %s is empty; set it, or write the resource's address as in %s", endpoint, anEndpoint)
		}
		for _, suffix := range []string{"/", "/v1", "/openai"} {
			addresses[i] = strings.TrimSuffix(addresses[i], suffix)
		}
	}
	return p.api.Set(addresses, anEndpoint)
}

// dated is a version of the API.
var dated = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-preview)?$`)

// Validate refuses a missing credential, two of them, and a default that is not served.
func (p *Provider) Validate() error {
	if p.APIKey != "" && p.Token != "" {
		return errors.New("token: there is an api_key too; give one of them")
	}
	if err := p.api.Key.Check(); err != nil {
		return err
	}
	if p.Version != VersionOne && !dated.MatchString(p.Version) {
		return fmt.Errorf("api_version: %q is no version; write v1, or a date as in 2024-10-21 or 2025-04-01-preview", p.Version)
	}
	for i, d := range p.Deployments {
		switch {
		case d.Model == "":
			return errors.New("deployment: the model's name is missing")
		case slices.ContainsFunc(p.Deployments[:i], func(former Deployment) bool { return former.Model == d.Model }):
			return fmt.Errorf("deployment: %q is named twice", d.Model)
		}
	}
	if p.Default != "" && !p.Serves(p.Default) {
		return fmt.Errorf("default_model: %q is none of the deployments' models", p.Default)
	}
	return nil
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (p *Provider) Cleanup() error {
	p.api.Close()
	return nil
}

// Dialect is OpenAI's.
func (*Provider) Dialect() dialect.Name { return dialect.OpenAI }

// Serves says whether the provider takes a model: those of its list, or all where it has none.
func (p *Provider) Serves(model string) bool {
	_, ok := p.deployment(model)
	return ok
}

// NamesModel says whether the config names a model, so that metrics may.
func (p *Provider) NamesModel(model string) bool {
	return model == p.Default || len(p.Deployments) > 0 && p.Serves(model)
}

// DefaultModel is the model of calls that name only the provider.
func (p *Provider) DefaultModel() string { return p.Default }

// deployment finds a model's deployment.
func (p *Provider) deployment(model string) (string, bool) {
	for i := range p.Deployments {
		if p.Deployments[i].Model == model {
			return p.Deployments[i].Name, true
		}
	}
	return model, len(p.Deployments) == 0
}

func signWithKey(r *http.Request, secret string) { r.Header["Api-Key"] = []string{secret} }

func signWithToken(r *http.Request, secret string) {
	r.Header["Authorization"] = []string{"Bearer " + secret}
}

// Interface guards
var (
	_ gateway.Provider   = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
	_ caddy.CleanerUpper = (*Provider)(nil)
)
