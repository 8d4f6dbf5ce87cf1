package openai

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> openai {
//		base_url            <url>...
//		api_key             <placeholder>
//		models              <model>...
//		default_model       <model>
//		surfaces            <name>...
//		structured_output   json_schema|json_object|none
//		connect_timeout     <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		timeout             <duration>
//	}
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	options := p.Options()
	options["surfaces"] = p.unmarshalSurfaces
	options["structured_output"] = &p.Schema
	return gateway.Block(d, "an openai provider", options)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
