// Package vertex is the provider of Google's and Anthropic's models on Vertex AI.
package vertex

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func init() { caddy.RegisterModule(new(Provider)) }

// The publishers whose models the provider knows how to ask.
const (
	Google    = "google"
	Anthropic = "anthropic"
)

// globalLocation is the location that is everywhere.
const globalLocation = "global"

// Provider sends calls to one publisher's models on Vertex AI. A project whose calls go to models of both has two of it. Without a list of
// models it serves all whose name begins as those of the publisher do, and lists none: Vertex AI tells those that there are, not those that
// a project may use.
type Provider struct {
	// Publisher is whose models they are, google or anthropic, and so which dialect they speak. Default: google.
	Publisher string `json:"publisher,omitempty"`
	// Project is the project's id. Default: {env.GOOGLE_CLOUD_PROJECT}, else that of the credential's file.
	Project string `json:"project,omitempty"`
	// Location is where the models run, as in europe-west4. Default: {env.GOOGLE_CLOUD_LOCATION}, else global.
	Location string `json:"location,omitempty"`
	// CredentialsFile is a file with a credential of Google's: a service account's key, or a description of a workload identity. Placeholders
	// are replaced. Default: {env.GOOGLE_APPLICATION_CREDENTIALS}, else what the machine has: gcloud's, or the metadata server's.
	CredentialsFile string `json:"credentials_file,omitempty"`
	// BaseURLs are the service's addresses; several share the calls in turn. Default: the location's own.
	BaseURLs []string `json:"base_url,omitempty"`
	exchange.Served
	exchange.Patience

	client     exchange.Client
	credential credential
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.vertex", New: func() caddy.Module { return new(Provider) }}
}

// Provision applies the defaults and reads the credential's file. It asks nobody for a token.
func (p *Provider) Provision(caddy.Context) error {
	if p.Publisher == "" {
		p.Publisher = Google
	}
	repl := caddy.NewReplacer()
	if p.CredentialsFile == "" {
		p.credential.file = os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	} else if p.credential.file = repl.ReplaceAll(p.CredentialsFile, ""); p.credential.file == "" {
		return fmt.Errorf("credentials_file: %s is empty; set it, or leave credentials_file out to use the machine's own credential", p.CredentialsFile)
	}
	project, err := p.credential.open()
	if err != nil {
		return err
	}
	p.Project = firstOf(repl.ReplaceAll(p.Project, ""), os.Getenv("GOOGLE_CLOUD_PROJECT"), project)
	p.Location = firstOf(repl.ReplaceAll(p.Location, ""), os.Getenv("GOOGLE_CLOUD_LOCATION"), globalLocation)
	p.SetDefault("")
	if err := p.setAddresses(); err != nil {
		return err
	}
	p.client.Authorize = p.credential.authorize
	p.Open(&p.client)
	return nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// setAddresses makes addresses below which the publisher's models are.
func (p *Provider) setAddresses() error {
	bases := p.BaseURLs
	if len(bases) == 0 {
		bases = []string{serviceOf(p.Location)}
	}
	addresses := make([]string, len(bases))
	for i, base := range bases {
		base = strings.TrimSuffix(caddy.NewReplacer().ReplaceAll(base, ""), "/")
		addresses[i] = strings.TrimSuffix(base, "/v1") + "/v1/" + p.parent()
	}
	return p.client.Set(addresses, serviceOf(globalLocation))
}

// parent is the resource to which the publisher's models belong.
func (p *Provider) parent() string {
	return "projects/" + url.PathEscape(p.Project) + "/locations/" + url.PathEscape(p.Location) + "/publishers/" + p.Publisher
}

// serviceOf is where a location's models are asked.
func serviceOf(location string) string {
	switch location {
	case globalLocation:
		return "https://aiplatform.googleapis.com"
	case "us", "eu": // multi-regions
		return "https://aiplatform." + location + ".rep.googleapis.com"
	}
	return "https://" + location + "-aiplatform.googleapis.com"
}

// Validate refuses an unknown publisher, a missing project, and a default that is not served.
func (p *Provider) Validate() error {
	if p.Publisher != Google && p.Publisher != Anthropic {
		return fmt.Errorf("publisher: %q is none of google and anthropic", p.Publisher)
	}
	if p.Project == "" {
		return errors.New("project: there is none; write the project's id, or set GOOGLE_CLOUD_PROJECT")
	}
	return p.CheckDefault(p.Serves)
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (p *Provider) Cleanup() error {
	p.client.Close()
	p.credential.close()
	return nil
}

// Dialect is the publisher's.
func (p *Provider) Dialect() dialect.Name {
	if p.Publisher == Anthropic {
		return dialect.Anthropic
	}
	return dialect.Gemini
}

// Can says that only chat is asked of Vertex AI, so that calls of other surfaces go on to the next target.
func (*Provider) Can(c gateway.Capability) bool { return c == gateway.CanChat }

// Serves says whether the provider takes a model: those of its list. Where it has none, what is named as the publisher's models are, so
// that a provider of other models beside it is found by their names.
func (p *Provider) Serves(model string) bool {
	switch {
	case len(p.Names) > 0:
		return slices.Contains(p.Names, model)
	case p.Publisher == Anthropic:
		return strings.HasPrefix(model, "claude")
	}
	model = strings.TrimPrefix(model, "models/")
	return strings.HasPrefix(model, "gemini") || strings.HasPrefix(model, "gemma")
}

// Interface guards
var (
	_ gateway.Provider   = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ gateway.Capable    = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
	_ caddy.CleanerUpper = (*Provider)(nil)
)
