package anthropic

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> anthropic {
//		base_url            <url>...
//		api_key             <placeholder>
//		models              <model>...
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
		case "base_url":
			err = gateway.ListArgs(d, &p.BaseURLs)
		case "api_key":
			err = gateway.OneArg(d, &p.APIKey)
		case "models":
			err = gateway.ListArgs(d, &p.Names)
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
			err = d.Errf("unrecognized subdirective %q of an anthropic provider", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
