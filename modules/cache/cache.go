// Package cache is the handler llm_cache: it answers repeated calls from the store, and identical calls in progress by one
// call upstream.
package cache

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Cache)) }

// Defaults of the cache.
const (
	DefaultTTL      = time.Hour
	DefaultMaxEntry = 1 << 20
)

// Cache keeps complete, valid answers. It stands behind authentication and limits, so that neither is passed by on a hit.
type Cache struct {
	// TTL is how long an answer is fresh. Default: 1h.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// Scope is who shares answers: key, team (a key without a team is alone) or shared (everybody). Default: key.
	Scope Scope `json:"scope,omitempty"`
	// Match is which chat calls are kept: deterministic (temperature 0, one choice, not stored by the provider) or all. Embeddings and
	// structured prompts always are, what is passed on never is. Default: deterministic.
	Match Match `json:"match,omitempty"`
	// StaleIfError is how long past its time an answer may be served where no provider answers. Default: 0, never.
	StaleIfError caddy.Duration `json:"stale_if_error,omitempty"`
	// MaxEntry bounds one answer, in bytes; larger ones are not kept. Default: 1 MiB.
	MaxEntry int64 `json:"max_entry,omitempty"`

	app     *gateway.App
	log     *zap.Logger
	flights flights
}

// Scope is who shares answers.
type Scope string

// The scopes.
const (
	ScopeKey    Scope = "key"
	ScopeTeam   Scope = "team"
	ScopeShared Scope = "shared"
)

// Match is which chat calls are kept.
type Match string

// The choices of Match.
const (
	MatchDeterministic Match = "deterministic"
	MatchAll           Match = "all"
)

// CaddyModule returns the Caddy module information.
func (*Cache) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_cache", New: func() caddy.Module { return new(Cache) }}
}

// Provision applies the defaults and finds the gateway.
func (c *Cache) Provision(ctx caddy.Context) (err error) {
	c.log = ctx.Logger()
	if c.TTL == 0 {
		c.TTL = caddy.Duration(DefaultTTL)
	}
	if c.Scope == "" {
		c.Scope = ScopeKey
	}
	if c.Match == "" {
		c.Match = MatchDeterministic
	}
	if c.MaxEntry == 0 {
		c.MaxEntry = DefaultMaxEntry
	}
	c.app, err = gateway.AppOf(ctx)
	return err
}

// Validate refuses unknown words and negative bounds.
func (c *Cache) Validate() error {
	if c.TTL < 0 || c.StaleIfError < 0 || c.MaxEntry < 0 {
		return fmt.Errorf("ttl, stale_if_error and max_entry cannot be negative")
	}
	return c.checkWords()
}

func (c *Cache) checkWords() error {
	switch c.Scope {
	case "", ScopeKey, ScopeTeam, ScopeShared:
	default:
		return fmt.Errorf("scope: %q is none of key, team and shared", c.Scope)
	}
	switch c.Match {
	case "", MatchDeterministic, MatchAll:
	default:
		return fmt.Errorf("match: %q is none of deterministic and all", c.Match)
	}
	return nil
}

// ServeHTTP answers from memory where it can.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	call := c.app.Enter(w, r)
	defer call.Leave()
	sent := call.Meet(c)
	if call.Surface.Operation == "" || r.Method != call.Surface.Method {
		return next.ServeHTTP(w, r)
	}
	if err := call.Parse(r); err != nil {
		return call.Fail(w, r, err)
	}
	if err := call.Resolve(); err != nil {
		return call.Fail(w, r, err)
	}
	asked := parseControl(r.Header["Cache-Control"])
	key, ok := call.Ahead.Key, true
	if !sent {
		call.Ahead.Looked = false
		key, ok = c.key(call, r)
	}
	if !ok || asked.noStore {
		if asked.onlyIfCached {
			return call.Fail(w, r, errOnlyIfCached)
		}
		call.Cache = gateway.CacheBypass
		setHeaders(w.Header(), "BYPASS", "llm_cache; fwd=bypass")
		return next.ServeHTTP(w, r)
	}
	return c.serve(w, r, next, call, key, asked)
}

// Scout names the call's answer, unless the client wants none that is kept.
func (c *Cache) Scout(call *gateway.Call, r *http.Request) bool {
	if r.Method != call.Surface.Method || call.Parse(r) != nil || call.Resolve() != nil {
		return false
	}
	if asked := parseControl(r.Header["Cache-Control"]); asked.noStore || asked.noCache {
		return false
	}
	call.Ahead.Key, call.Ahead.Keyed = c.key(call, r)
	return call.Ahead.Keyed
}

var errOnlyIfCached = dialect.Errorf(dialect.OnlyIfCachedMiss, "no answer to this call is cached, and only-if-cached forbids to ask for one")

func (c *Cache) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, call *gateway.Call, key gateway.AnswerKey, asked control) error {
	if asked.noCache {
		if asked.onlyIfCached {
			return call.Fail(w, r, errOnlyIfCached)
		}
		return c.alone(w, r, next, call, key, asked, "request")
	}
	if answer := c.look(r.Context(), call, key, asked); answer != nil {
		return c.serveHit(w, r, call, answer)
	}
	if asked.onlyIfCached {
		call.Cache = gateway.CacheMiss
		setHeaders(w.Header(), "MISS", "llm_cache; fwd=uri-miss")
		return call.Fail(w, r, errOnlyIfCached)
	}
	f, leads := c.flights.join(r.Context(), key, call)
	if !leads {
		if served, err := c.follow(w, r, call, f); served {
			return err
		}
		// The answer was none to be shared. All who waited for it go on by themselves, rather than one after the other.
		return c.alone(w, r, next, call, key, asked, "uri-miss")
	}
	release, answer := c.lease(r.Context(), key, asked)
	if answer != nil {
		c.flights.end(key, f, answer, nil)
		return c.serveHit(w, r, call, answer)
	}
	return c.lead(w, r, next, call, key, f, asked, release)
}

// alone makes the call upstream and keeps its answer, where nobody can join.
func (c *Cache) alone(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, call *gateway.Call, key gateway.AnswerKey, asked control, why string) error {
	setHeaders(w.Header(), "MISS", "llm_cache; fwd="+why)
	call.Cache = gateway.CacheMiss
	call.Record = &recorder{cache: c, call: call, key: key, release: func() {}}
	call.Rescue = c.rescue(call, key, nil, asked)
	return next.ServeHTTP(w, r)
}

// find finds the call's answer, which may have come with the decision on its limits.
func (c *Cache) find(ctx context.Context, call *gateway.Call, key gateway.AnswerKey, asked control) *gateway.Answer {
	if call.Ahead.Looked {
		return asked.fresh(call.Ahead.Answer)
	}
	return c.lookup(ctx, key, asked)
}

// lookup finds an answer that is fresh enough. A store that fails is a miss: the cache is no reason to refuse a call. The store itself
// tells once that it is down; a line for each call would tell no more.
func (c *Cache) lookup(ctx context.Context, key gateway.AnswerKey, asked control) *gateway.Answer {
	answer, err := c.app.Answers().Answer(ctx, key)
	if err != nil {
		c.log.Debug("reading answer", zap.Error(err))
		return nil
	}
	return asked.fresh(answer)
}

func (c *Cache) serveHit(w http.ResponseWriter, r *http.Request, call *gateway.Call, answer *gateway.Answer) error {
	call.Cache = gateway.CacheHit
	setHit(w.Header(), answer, time.Now())
	return c.serveAnswer(w, r, call, answer)
}

// serveAnswer writes a kept answer in the form that the client asked for.
func (c *Cache) serveAnswer(w http.ResponseWriter, r *http.Request, call *gateway.Call, answer *gateway.Answer) error {
	if !call.Stream {
		return c.quiet(r, call.ServeAnswer(w, answer))
	}
	return c.quiet(r, call.ServeAnswerStream(w, answer))
}

// quiet drops the error of a client who left in the middle of an answer.
func (c *Cache) quiet(r *http.Request, err error) error {
	if err != nil {
		if entry := c.log.Check(zap.DebugLevel, "answer not delivered"); entry != nil {
			entry.Write(zap.Error(err), zap.Bool("client_gone", r.Context().Err() != nil))
		}
	}
	return nil
}

// keep stores an answer for as long as the call allows.
func (c *Cache) keep(ctx context.Context, call *gateway.Call, key gateway.AnswerKey, answer *gateway.Answer) {
	ttl := time.Duration(c.TTL)
	if call.CacheTTL != nil {
		ttl = *call.CacheTTL
	}
	if int64(len(answer.Body)) > c.MaxEntry {
		return
	}
	answer.Expires = answer.Created.Add(ttl)
	if c.StaleIfError > 0 {
		answer.StaleUntil = answer.Expires.Add(time.Duration(c.StaleIfError))
	}
	if err := c.app.Answers().PutAnswer(ctx, key, answer); err != nil {
		c.log.Debug("keeping answer", zap.Error(err))
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Cache)(nil)
	_ caddy.Validator             = (*Cache)(nil)
	_ caddyhttp.MiddlewareHandler = (*Cache)(nil)
	_ gateway.Scout               = (*Cache)(nil)
)
