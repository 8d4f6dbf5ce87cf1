package bedrock

import (
	"maps"

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
	options := gateway.Options{
		"region":            &p.Region,
		"base_url":          &p.BaseURLs,
		"profile":           &p.Profile,
		"access_key_id":     &p.AccessKeyID,
		"secret_access_key": &p.SecretAccessKey,
		"session_token":     &p.SessionToken,
		"api_key":           &p.APIKey,
	}
	maps.Copy(options, p.Served.Options())
	maps.Copy(options, p.Patience.Options())
	return gateway.Block(d, "a bedrock provider", options)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Provider)(nil)
