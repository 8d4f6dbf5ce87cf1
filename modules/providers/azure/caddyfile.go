package azure

import (
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
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "endpoint":
			err = gateway.ListArgs(d, &p.Endpoints)
		case "api_version":
			err = gateway.OneArg(d, &p.Version)
		case "api_key":
			err = gateway.OneArg(d, &p.APIKey)
		case "token":
			err = gateway.OneArg(d, &p.Token)
		case "deployment":
			err = p.unmarshalDeployment(d)
		case "default_model":
			err = gateway.OneArg(d, &p.Default)
		case "connect_timeout":
			err = gateway.DurationArg(d, &p.ConnectTimeout)
		case "first_token_timeout":
			err = gateway.DurationArg(d, &p.FirstTokenTimeout)
		case "idle_timeout":
			err = gateway.DurationArg(d, &p.IdleTimeout)
		case "timeout":
			err = gateway.DurationArg(d, &p.Timeout)
		default:
			err = d.Errf("unrecognized subdirective %q of an azure provider", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
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
