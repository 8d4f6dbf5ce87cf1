package litellm

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// caddyfile writes the configuration, and has Caddy read it.
func (im *importer) caddyfile() ([]byte, error) {
	var b strings.Builder
	b.WriteString("{\nllm_gateway {\n")
	if im.admin != "" {
		fmt.Fprintf(&b, "admin_key %s\n", im.admin)
	}
	if im.inRedis {
		b.WriteString("store redis {\nurl {env.REDIS_URL}\n}\n")
	}
	if im.database != "" {
		fmt.Fprintf(&b, "database postgres %s\n", im.database)
	}
	for _, p := range im.providers {
		p.write(&b)
	}
	for _, m := range im.models {
		m.write(&b)
	}
	b.WriteString("}\n}\n\n:4000 {\nllm_health\nllm_keys\nllm_auth\nllm_rate_limit\nllm_analyze\n")
	if im.cache {
		b.WriteString("llm_cache {\nmatch all\n")
		if im.ttl > 0 {
			fmt.Fprintf(&b, "ttl %s\n", im.ttl)
		}
		b.WriteString("}\n")
	}
	b.WriteString("llm_proxy {\n")
	if im.drop {
		b.WriteString("on_unsupported drop\n")
	}
	if n := im.attemptsAfterTheFirst(); n > 0 {
		fmt.Fprintf(&b, "lb_retries %d\n", n)
	}
	b.WriteString("}\n}\n")
	text := caddyfile.Format([]byte(strings.ReplaceAll(b.String(), "llm_proxy {\n}", "llm_proxy")))
	if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"}); err != nil {
		return nil, fmt.Errorf("adapting what was made of it: %w", err)
	}
	return text, nil
}

func (p *provider) write(b *strings.Builder) {
	fmt.Fprintf(b, "provider %s", token(p.name))
	if p.module != p.name {
		fmt.Fprintf(b, " %s", p.module)
	}
	b.WriteString(" {\n")
	b.WriteString(p.options)
	if p.base != "" {
		fmt.Fprintf(b, "%s %s\n", p.addressOption(), token(p.base))
	}
	if p.key != "" {
		fmt.Fprintf(b, "api_key %s\n", p.key)
	}
	if p.firstToken > 0 {
		fmt.Fprintf(b, "first_token_timeout %s\n", p.firstToken)
	}
	b.WriteString("}\n")
}

// addressOption is what a provider's module calls its address.
func (p *provider) addressOption() string {
	if p.module == "azure" {
		return "endpoint"
	}
	return "base_url"
}

func (m *model) write(b *strings.Builder) {
	fmt.Fprintf(b, "model %s {\n", token(m.name))
	for _, alias := range m.aliases {
		fmt.Fprintf(b, "alias %s\n", token(alias))
	}
	for _, t := range m.targets {
		fmt.Fprintf(b, "target %s", token(t.place))
		if len(m.targets) > 1 {
			fmt.Fprintf(b, " weight %d", t.weight)
		}
		b.WriteByte('\n')
	}
	for _, place := range m.fallbacks {
		fmt.Fprintf(b, "fallback %s\n", token(place))
	}
	b.WriteString("}\n")
}

// token is a writable text as one token of a Caddyfile.
func token(text string) string {
	if text == "" || strings.ContainsAny(text, " \t#") {
		return `"` + text + `"`
	}
	return text
}

// writable tells whether a text can stand in a Caddyfile as it is. Braces would be placeholders there.
func writable(text string) bool {
	return !strings.ContainsAny(text, "{}\"`\\") && !strings.ContainsFunc(text, unicode.IsControl)
}
