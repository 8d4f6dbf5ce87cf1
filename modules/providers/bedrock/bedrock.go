// Package bedrock is the provider of Anthropic's models on Amazon Bedrock.
package bedrock

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func init() { caddy.RegisterModule(new(Provider)) }

// Provider sends calls to Anthropic's models on Amazon Bedrock. Its models are ids, inference profiles or ARNs; without a list it serves all
// whose name has "anthropic." in it, and lists none: which ones an account may use, only the control plane knows, which calls need no
// right to.
type Provider struct {
	// Region is AWS's, as in us-east-1. Default: what AWS's own tools go by: {env.AWS_REGION}, {env.AWS_DEFAULT_REGION}, or the profile.
	Region string `json:"region,omitempty"`
	// BaseURLs are the runtime's addresses, for an endpoint of a VPC; several share the calls in turn. Default: the region's own.
	BaseURLs []string `json:"base_url,omitempty"`
	// Profile is one of AWS's shared config files. Default: {env.AWS_PROFILE}, else default.
	Profile string `json:"profile,omitempty"`
	// AccessKeyID, SecretAccessKey and SessionToken are a credential of the config, as placeholders; they are read when they are used, so
	// the config holds no secret. Default: AWS's chain of credentials: the environment, shared config files, web identity, container,
	// EC2 instance.
	AccessKeyID     string `json:"access_key_id,omitempty"`
	SecretAccessKey string `json:"secret_access_key,omitempty"`
	SessionToken    string `json:"session_token,omitempty"`
	// APIKey is an API key of Bedrock in place of all these, as a placeholder. Default: {env.AWS_BEARER_TOKEN_BEDROCK} where that is
	// set and the config has no other credential.
	APIKey string `json:"api_key,omitempty"`
	exchange.Served
	exchange.Patience

	client     exchange.Client
	credential credential
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.bedrock", New: func() caddy.Module { return new(Provider) }}
}

// Provision applies the defaults and reads AWS's config files. It asks nobody for a credential.
func (p *Provider) Provision(caddy.Context) error {
	p.Region = caddy.NewReplacer().ReplaceAll(p.Region, "")
	if err := p.setCredential(); err != nil {
		return err
	}
	if len(p.BaseURLs) == 0 && p.Region != "" {
		p.BaseURLs = []string{runtimeOf(p.Region)}
	}
	if err := p.client.Set(p.BaseURLs, runtimeOf("us-east-1")); err != nil {
		return err
	}
	p.SetDefault("")
	p.client.Authorize = p.credential.authorize
	p.Open(&p.client)
	return nil
}

// runtimeOf is where a region's models are asked.
func runtimeOf(region string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	return "https://bedrock-runtime." + region + "." + domain
}

// Validate refuses a missing region, a credential that is none, and a default that is not served.
func (p *Provider) Validate() error {
	if p.Region == "" {
		return errors.New("region: there is none; write it as in us-east-1, or set AWS_REGION")
	}
	if err := p.credential.check(); err != nil {
		return err
	}
	return p.CheckDefault(p.Serves)
}

// Cleanup closes connections that nobody uses. Those of calls in progress live on until they are done.
func (p *Provider) Cleanup() error {
	p.client.Close()
	p.credential.chain.Close()
	return nil
}

// Dialect is Anthropic's.
func (*Provider) Dialect() dialect.Name { return dialect.Anthropic }

// Serves says whether the provider takes a model: those of its list. Where it has none, what is named as Anthropic's models are on
// Bedrock, so that a provider of other models beside it is found by their names.
func (p *Provider) Serves(model string) bool {
	if len(p.Names) > 0 {
		return slices.Contains(p.Names, model)
	}
	return strings.Contains(model, "anthropic.")
}

// Interface guards
var (
	_ gateway.Provider   = (*Provider)(nil)
	_ gateway.ModelNamer = (*Provider)(nil)
	_ caddy.Provisioner  = (*Provider)(nil)
	_ caddy.Validator    = (*Provider)(nil)
	_ caddy.CleanerUpper = (*Provider)(nil)
)
