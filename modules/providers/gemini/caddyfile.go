package gemini

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> gemini {
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
	return gateway.Block(d, "a gemini provider", gateway.Options{
		"base_url":            &p.BaseURLs,
		"api_key":             &p.APIKey,
		"models":              &p.Names,
		"default_model":       &p.Default,
		"connect_timeout":     &p.ConnectTimeout,
		"first_token_timeout": &p.FirstTokenTimeout,
		"idle_timeout":        &p.IdleTimeout,
		"timeout":             &p.Timeout,
	})
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
