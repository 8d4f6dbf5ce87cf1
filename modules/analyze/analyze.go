// Package analyze is the structured prompt surface: a prompt goes in, data that fits a JSON Schema comes out.
// It turns a request into a native call that the cache and the proxy behind it serve like any other, and says
// how the model's answer is judged and delivered.
package analyze

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler serves /v1/analyze/ and what belongs to it: the list of providers and the cache's numbers. Every other
// path goes to the next handler. It stands behind llm_auth and llm_rate_limit, and before llm_cache and llm_proxy.
type Handler struct {
	// DefaultProvider is the provider that llm_provider "auto" asks first. Default: the first one of the config.
	DefaultProvider string `json:"default_provider,omitempty"`

	app     *gateway.App
	choices *choices
	schemas *schemas
	stats   *stats
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_analyze", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the gateway and settles what each name of a provider means.
func (h *Handler) Provision(ctx caddy.Context) error {
	var err error
	if h.app, err = gateway.AppOf(ctx); err != nil {
		return err
	}
	if h.choices, err = newChoices(h.app, h.DefaultProvider); err != nil {
		return err
	}
	h.schemas = newSchemas()
	h.stats = acquireStats()
	return nil
}

// Cleanup gives the shared numbers back.
func (h *Handler) Cleanup() error {
	if h.stats == nil {
		return nil
	}
	return releaseStats()
}

// ServeHTTP serves the three surfaces.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	call := h.app.Enter(w, r)
	defer call.Leave()
	sent := call.Meet(h)
	switch call.Surface {
	case gateway.AnalyzePrompt, gateway.AnalyzeProviders, gateway.AnalyzeStats:
	default:
		return next.ServeHTTP(w, r)
	}
	if r.Method != call.Surface.Method {
		w.Header().Set("Allow", call.Surface.Method)
		return call.Fail(w, r, dialect.Errorf(dialect.MethodNotAllowed, "this path takes %s only", call.Surface.Method))
	}
	switch call.Surface {
	case gateway.AnalyzeProviders:
		return h.serveProviders(call, w, r)
	case gateway.AnalyzeStats:
		return h.serveStats(call, w, r)
	}
	if !sent {
		if err := h.prepare(call, r, h.choices.resolve); err != nil {
			return call.Fail(w, r, err)
		}
	}
	err := next.ServeHTTP(w, r)
	h.stats.count(call.Cache, time.Since(call.Started))
	return err
}

// Scout prepares a structured prompt, unless its provider would have to be asked for its models first.
func (h *Handler) Scout(call *gateway.Call, r *http.Request) bool {
	return call.Surface != gateway.AnalyzePrompt || r.Method == call.Surface.Method && h.prepare(call, r, h.choices.known) == nil
}

// prepare reads the request and tells the call how to go on.
func (h *Handler) prepare(call *gateway.Call, r *http.Request, resolve func(ctx context.Context, name string, key *gateway.Key) (target, *dialect.Error)) *dialect.Error {
	if err := call.Parse(r); err != nil {
		return onSurface(err)
	}
	req, err := parseRequest(call.Body())
	if err != nil {
		return err
	}
	a := &analysis{call: call, req: req, withRaw: r.URL.RawQuery != "" && r.URL.Query().Get("include_raw") == "true"}
	if a.schema, err = h.schemas.of(&req); err != nil {
		return err
	}
	target, err := resolve(r.Context(), req.provider, call.Key)
	if err != nil {
		return err
	}
	call.Route, call.Model = target.route, target.model
	if err := call.Resolve(); err != nil {
		err.Field = "llm_provider" // a request of this surface has no field "model"
		return err
	}
	logMetadata(r, req.metadata)

	call.Repeatable = true
	call.CacheTTL = &a.req.cacheTTL
	call.CacheBody = appendCacheBody(nil, &a.req, a.schema, target)
	call.MaxTokens = a.req.maxTokens
	call.InputTokens = a.estimateInput()
	call.Native = a.native
	call.Accept = a.accept
	call.Deliver = a.deliver
	return nil
}

// onSurface is a finding about a body in the surface's terms: here a member that may not be there is a field that
// breaks its rule.
func onSurface(err *dialect.Error) *dialect.Error {
	if err.Kind != dialect.InvalidRequest || err.Field == "" {
		return err
	}
	return invalid(err.Field, "%s", err.Message)
}

// analysis is one request of the surface, on its way.
type analysis struct {
	call    *gateway.Call
	req     request
	schema  *schema
	withRaw bool // the client wants the model's own text as well
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ gateway.Scout               = (*Handler)(nil)
)
