package cache

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// keyVersion changes whenever what a key is made of does, so that old entries are never taken for new ones.
const keyVersion = "llm-answer-1"

// Only these members of a body are no part of a key: they change how an answer is sent or who is billed, never what it
// says. Everything else is, known or unknown, so that no new parameter can make two different calls look alike.
// The model is replaced by where it leads, so that an alias that is pointed elsewhere finds nothing.
func ignored(member string) bool {
	switch member {
	case "model", "stream", "stream_options", "user", "safety_identifier", "metadata",
		"prompt_cache_key", "prompt_cache_retention":
		return true
	}
	return false
}

// ignoredOf is ignored for a surface's bodies. What an answer of the Responses API repeats of its request is part of the key:
// nobody is to read another's.
func ignoredOf(shape dialect.Name) func(member string) bool {
	if shape == dialect.Responses {
		return func(member string) bool { return ignored(member) && !responses.Repeats(member) }
	}
	return ignored
}

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// key names the answer to a call. It is false where the call is not to be cached, or cannot be compared with others.
func (c *Cache) key(call *gateway.Call, r *http.Request) (key gateway.AnswerKey, ok bool) {
	if call.Surface.Passed || !call.Repeatable && c.Match != MatchAll || call.CacheTTL != nil && *call.CacheTTL == 0 {
		return key, false
	}
	kind, tenant, ok := c.tenant(call, r)
	if !ok {
		return key, false
	}
	buf := scratch.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= 1<<20 {
			scratch.Put(buf)
		}
	}()
	text := append((*buf)[:0], keyVersion...)
	for _, part := range [...]string{string(c.Scope), kind, tenant, call.Surface.Name} {
		text = append(append(text, 0), part...)
	}
	text = append(text, 0)
	for _, name := range [...]string{"Openai-Beta", "Anthropic-Beta", "Anthropic-Version"} { // a client's headers that change what an answer says
		for _, value := range r.Header[name] {
			text = append(append(text, name...), ':')
			text = append(append(text, value...), 0)
		}
	}
	for _, targets := range [...][]gateway.Target{call.Route.Targets, call.Route.Fallbacks} {
		text = append(text, 0)
		for i := range targets {
			text = append(append(text, targets[i].Provider...), 0)
			text = append(append(text, targets[i].Model...), 0)
			text = append(strconv.AppendInt(text, int64(targets[i].Weight), 10), 0)
		}
	}
	text = append(text, 0)
	if call.CacheBody != nil {
		text = append(text, call.CacheBody...)
	} else {
		var err error
		if text, err = dialect.Canonical(text, call.Body(), ignoredOf(call.Surface.Dialect)); err != nil {
			return key, false
		}
	}
	*buf = text
	return sha256.Sum256(text), true
}

// tenant is who shares the answer. Without anybody to tell apart, nothing is kept unless the config says that it is shared.
func (c *Cache) tenant(call *gateway.Call, r *http.Request) (kind, name string, ok bool) {
	switch {
	case c.Scope == ScopeShared:
		return "", "", true
	case c.Scope == ScopeTeam && call.Key != nil && call.Key.Team != "":
		return "team", call.Key.Team, true
	case call.Key != nil:
		return "key", call.Key.ID, true
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		if user, ok := repl.GetString("http.auth.user.id"); ok && user != "" { // authenticated by another handler
			return "user", user, true
		}
	}
	return "", "", false
}
