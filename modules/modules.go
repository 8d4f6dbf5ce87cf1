// Package modules puts all of the gateway's modules into a Caddy binary, and their directives into their order.
// Import this package, not its parts: the order is security.
package modules

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/caddy-llm/caddy-llm/modules/analyze"
	_ "github.com/caddy-llm/caddy-llm/modules/auth"
	_ "github.com/caddy-llm/caddy-llm/modules/cache"
	_ "github.com/caddy-llm/caddy-llm/modules/health"
	_ "github.com/caddy-llm/caddy-llm/modules/keys"
	_ "github.com/caddy-llm/caddy-llm/modules/litellm"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/anthropic"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/azure"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/bedrock"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/demo"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/gemini"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/openai"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/vertex"
	_ "github.com/caddy-llm/caddy-llm/modules/proxy"
	_ "github.com/caddy-llm/caddy-llm/modules/ratelimit"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/memory"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/postgres"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/redis"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/sqlite"
)

// Each directive stands relative to one of Caddy's own, since Caddy allows no other anchor, and all of them stand in
// this one table, since the order between plugins is otherwise that of Go's package initialisation.
//
// What is registered "before" an anchor stands behind what was registered so earlier. The result:
// llm_health, llm_keys, llm_auth, llm_rate_limit, llm_analyze, encode, llm_cache, llm_proxy, llm.
var order = []struct{ directive, before string }{
	{"llm_health", "request_header"},
	{"llm_keys", "request_header"},
	{"llm_auth", "request_header"},
	{"llm_rate_limit", "request_header"},
	{"llm_analyze", "request_header"},
	{"llm_cache", "invoke"},
	{"llm_proxy", "reverse_proxy"},
	{"llm", "reverse_proxy"},
}

func init() {
	for _, o := range order {
		httpcaddyfile.RegisterDirectiveOrder(o.directive, httpcaddyfile.Before, o.before)
	}
}
