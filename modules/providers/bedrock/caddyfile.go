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
	return gateway.Block(d, "a bedrock provider", gateway.Options{
		"region":              &p.Region,
		"base_url":            &p.BaseURLs,
		"profile":             &p.Profile,
		"access_key_id":       &p.AccessKeyID,
		"secret_access_key":   &p.SecretAccessKey,
		"session_token":       &p.SessionToken,
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
