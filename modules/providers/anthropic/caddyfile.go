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
	return gateway.Block(d, "an anthropic provider", p.Options())
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
