package vertex

import (
	"maps"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	provider <name> vertex {
//		publisher           google|anthropic
//		project             <id>
//		location            <location>
//		credentials_file    <path>
//		base_url            <url>...
//		models              <model>...
//		default_model       <model>
//		connect_timeout     <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		timeout             <duration>
//	}
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	options := gateway.Options{
		"publisher":        &p.Publisher,
		"project":          &p.Project,
		"location":         &p.Location,
		"credentials_file": &p.CredentialsFile,
		"base_url":         &p.BaseURLs,
	}
	maps.Copy(options, p.Served.Options())
	maps.Copy(options, p.Patience.Options())
	return gateway.Block(d, "a vertex provider", options)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
