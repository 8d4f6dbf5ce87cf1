package modules

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/analyze"
	"github.com/caddy-llm/caddy-llm/modules/auth"
	"github.com/caddy-llm/caddy-llm/modules/cache"
	"github.com/caddy-llm/caddy-llm/modules/health"
	"github.com/caddy-llm/caddy-llm/modules/keys"
	"github.com/caddy-llm/caddy-llm/modules/proxy"
	"github.com/caddy-llm/caddy-llm/modules/ratelimit"
)

func init() { httpcaddyfile.RegisterDirective("llm", parseLLM) }

// parseLLM makes the whole chain with its defaults. Syntax:
//
//	llm [<matcher>]
func parseLLM(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h.Next()
	if h.NextArg() || h.NextBlock(0) {
		return nil, h.Err("llm takes no options; write llm_health, llm_keys, llm_auth, llm_rate_limit, llm_analyze, llm_cache and llm_proxy instead, each with its own")
	}
	chain := caddyhttp.Route{}
	for _, handler := range []caddy.Module{
		new(health.Health), new(keys.Keys), new(auth.Auth), new(ratelimit.RateLimit), new(analyze.Handler), new(cache.Cache), new(proxy.Proxy),
	} {
		chain.HandlersRaw = append(chain.HandlersRaw, caddyconfig.JSONModuleObject(handler, "handler", handler.CaddyModule().ID.Name(), nil))
	}
	return h.NewRoute(matcher, &caddyhttp.Subroute{Routes: caddyhttp.RouteList{chain}}), nil
}
