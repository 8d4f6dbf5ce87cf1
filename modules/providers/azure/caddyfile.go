package azure

import (
	"maps"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> azure {
//		endpoint            <url>...
//		api_version         v1|<date>
//		api_key             <placeholder>
//		token               <placeholder>
//		deployment          <model> [<deployment>]
//		default_model       <model>
//		connect_timeout     <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		timeout             <duration>
//	}
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	options := gateway.Options{
		"endpoint":      &p.Endpoints,
		"api_version":   &p.Version,
		"api_key":       &p.APIKey,
		"token":         &p.Token,
		"deployment":    p.unmarshalDeployment,
		"default_model": &p.Default,
	}
	maps.Copy(options, p.Options())
	return gateway.Block(d, "an azure provider", options)
}

func (p *Provider) unmarshalDeployment(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch len(args) {
	case 1:
		p.Deployments = append(p.Deployments, Deployment{Model: args[0]})
	case 2:
		p.Deployments = append(p.Deployments, Deployment{Model: args[0], Name: args[1]})
	default:
		return d.ArgErr()
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
