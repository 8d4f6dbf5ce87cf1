package litellm

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// settings reads the sections behind model_list.
func (im *importer) settings(section string, node *yaml.Node) {
	for _, m := range membersOf(node) {
		where := section + "." + m.name
		switch where {
		case "router_settings.model_group_alias", "litellm_settings.model_alias_map":
			im.aliases(m.value)
		case "router_settings.fallbacks", "litellm_settings.fallbacks":
			im.fallbacks(m.value)
		case "router_settings.default_fallbacks", "litellm_settings.default_fallbacks":
			for _, group := range im.models {
				im.fall(group, m)
			}
		case "router_settings.timeout", "litellm_settings.request_timeout": // read before the models
		case "litellm_settings.drop_params":
			im.drop = m.isTrue()
		case "litellm_settings.cache":
			if im.cache = m.isTrue(); im.cache {
				im.notes.add(m.line, "each key has its answers for itself here; `scope shared` of llm_cache is as LiteLLM has it")
			}
		case "litellm_settings.cache_params":
			im.cacheParams(m.value)
		case "general_settings.master_key":
			im.admin = im.secret(m, "GATEWAY_ADMIN_KEY", "the admin credential, which manages keys and calls no model")
		case "general_settings.database_url":
			im.database = im.secret(m, "DATABASE_URL", "the URL of PostgreSQL; use a database that is not LiteLLM's")
		case "router_settings.redis_host", "router_settings.redis_url":
			im.redis(m.line)
		case "router_settings.redis_port", "router_settings.redis_password", "general_settings.database_connection_pool_limit":
		case "router_settings.num_retries", "litellm_settings.num_retries":
			im.retry(where, m, section == "router_settings")
		case "router_settings.retry_policy":
			im.notes.add(m.line, "%s is left out: a call goes on to each other target and fallback of its model", where)
		case "router_settings.routing_strategy":
			if m.text() != "simple-shuffle" {
				im.notes.add(m.line, "%s: %s is left out: targets share calls by weight", where, m.text())
			}
		case "litellm_settings.success_callback", "litellm_settings.failure_callback", "litellm_settings.callbacks", "litellm_settings.service_callback":
			im.notes.add(m.line, "%s is left out: metrics are at /v1/metrics, traces by Caddy's tracing directive, the request log by `ledger`", where)
		default:
			im.notes.add(m.line, "%s has no counterpart and is left out", where)
		}
	}
}

// retry reads how many attempts may follow the first one. The router's own word goes before the other.
func (im *importer) retry(where string, m member, routers bool) {
	n, err := strconv.Atoi(m.text())
	switch {
	case err != nil || n < 0 || n > 1000:
		im.notes.add(m.line, "%s: %q is no number of attempts and left out", where, m.text())
	case n == 0:
		im.notes.add(m.line, "%s is left out: a call goes on to each other target and fallback of its model", where)
	default:
		if routers || im.retries == 0 {
			im.retries = n
		}
		im.notes.add(m.line, "%s is lb_retries here, which counts attempts at fallbacks too; it is as many as a model has other targets and fallbacks at least", where)
	}
}

// attemptsAfterTheFirst is at least as many as reach each target and fallback of a model; 0 where the configuration says nothing.
func (im *importer) attemptsAfterTheFirst() int {
	n := im.retries
	for _, m := range im.models {
		if n > 0 {
			n = max(n, len(m.targets)+len(m.fallbacks)-1)
		}
	}
	return n
}

// timeouts reads the default bound on a call, which deployments may override. It is the bound on a provider's first token here, so that
// a long answer that has begun is not cut.
func (im *importer) timeouts(sections []member) {
	for _, where := range [...][2]string{{"litellm_settings", "request_timeout"}, {"router_settings", "timeout"}} {
		section, _ := find(sections, where[0])
		if m, ok := find(membersOf(section.value), where[1]); ok {
			im.timeout = im.seconds(m)
		}
	}
}

func (im *importer) seconds(m member) time.Duration {
	n, err := strconv.ParseFloat(m.text(), 64)
	if err != nil || n <= 0 || n > 86_400 {
		im.notes.add(m.line, "%s: %q is no number of seconds and left out", m.name, m.text())
		return 0
	}
	if !im.told {
		im.told = true
		im.notes.add(m.line, "%s bounds the wait for the first token here (first_token_timeout): an answer that has begun is not cut", m.name)
	}
	return time.Duration(n * float64(time.Second)).Round(time.Millisecond)
}

// aliases reads other names of groups.
func (im *importer) aliases(node *yaml.Node) {
	for _, m := range membersOf(node) {
		to := m.text()
		if inner, ok := find(membersOf(m.value), "model"); ok {
			to = inner.text()
			if hidden, _ := find(membersOf(m.value), "hidden"); hidden.isTrue() {
				im.notes.add(m.line, "the alias %s is listed: there are no hidden ones", m.name)
			}
		}
		group := im.group(to)
		switch {
		case group == nil || strings.Contains(to, "*"):
			im.notes.add(m.line, "the alias %s is left out: model_list has no model %q that was carried over", m.name, to)
		case im.group(m.name) != nil || strings.Contains(m.name, "*") || !writable(m.name):
			im.notes.add(m.line, "the alias %s is left out: model_list has that name, or it is a pattern", m.name)
		default:
			group.aliases = append(group.aliases, m.name)
		}
	}
}

func (im *importer) fallbacks(node *yaml.Node) {
	for _, element := range elements(node) {
		for _, m := range membersOf(element) {
			if group := im.group(m.name); group != nil {
				im.fall(group, m)
			} else {
				im.notes.add(m.line, "the fallbacks of %s are left out: model_list has no such model that was carried over", m.name)
			}
		}
	}
}

// fall gives a group the targets of others to fall back to.
func (im *importer) fall(group *model, to member) {
	for _, element := range elements(to.value) {
		name := resolved(element).Value
		other := im.group(name)
		if other == nil || strings.Contains(name, "*") {
			im.notes.add(element.Line, "%s: the fallback %q is left out: model_list has no such model that was carried over", group.name, name)
			continue
		}
		for _, t := range other.targets {
			if other != group {
				group.fallbacks = appendNew(group.fallbacks, t.place)
			}
		}
	}
}

func appendNew(list []string, text string) []string {
	for _, have := range list {
		if have == text {
			return list
		}
	}
	return append(list, text)
}

func (im *importer) cacheParams(node *yaml.Node) {
	for _, m := range membersOf(node) {
		switch m.name {
		case "type":
			switch m.text() {
			case "redis":
				im.redis(m.line)
			case "local":
			default:
				im.notes.add(m.line, "litellm_settings.cache_params.type: %s is left out: answers are kept in memory, or in Redis", m.text())
			}
		case "ttl":
			if n, err := strconv.ParseFloat(m.text(), 64); err == nil && n >= 1 && n < 1e9 {
				im.ttl = time.Duration(n) * time.Second
			} else {
				im.notes.add(m.line, "litellm_settings.cache_params.ttl: %q is no number of seconds and left out", m.text())
			}
		case "host", "port", "password", "url", "redis_url", "namespace", "ssl", "username", "db": // parts of REDIS_URL
		default:
			im.notes.add(m.line, "litellm_settings.cache_params.%s has no counterpart and is left out", m.name)
		}
	}
}

// redis puts limits and answers into Redis, whose address and password are one variable.
func (im *importer) redis(line int) {
	if !im.inRedis {
		im.notes.add(line, "Redis is at {env.REDIS_URL}: set REDIS_URL to redis://<user>:<password>@<host>:<port>/<db>")
		im.variable("REDIS_URL", "the address of Redis, with its password")
	}
	im.inRedis = true
}

// secret is a placeholder for a secret of the gateway's own.
func (im *importer) secret(m member, usual, what string) string {
	variable, ok := strings.CutPrefix(m.text(), environ)
	if !ok {
		variable = usual
		im.notes.add(m.line, "%s stands in the file itself; it is not copied: set %s", m.name, variable)
	}
	im.variable(variable, what)
	return "{env." + variable + "}"
}
