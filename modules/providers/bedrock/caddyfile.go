package bedrock

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> bedrock {
//		region              <region>
//		base_url            <url>...
//		profile             <name>
//		access_key_id       <placeholder>
//		secret_access_key   <placeholder>
//		session_token       <placeholder>
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
		case "region":
			err = gateway.OneArg(d, &p.Region)
		case "base_url":
			err = gateway.ListArgs(d, &p.BaseURLs)
		case "profile":
			err = gateway.OneArg(d, &p.Profile)
		case "access_key_id":
			err = gateway.OneArg(d, &p.AccessKeyID)
		case "secret_access_key":
			err = gateway.OneArg(d, &p.SecretAccessKey)
		case "session_token":
			err = gateway.OneArg(d, &p.SessionToken)
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
			err = d.Errf("unrecognized subdirective %q of a bedrock provider", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
