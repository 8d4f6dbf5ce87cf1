// Package health is the handler llm_health: whether the gateway and what it depends on are well.
package health

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	caddy.RegisterModule(new(Health))
	httpcaddyfile.RegisterHandlerDirective("llm_health", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		handler := new(Health)
		return handler, handler.UnmarshalCaddyfile(h.Dispenser)
	})
}

// checkTimeout bounds how long a dependency may take to show that it is there.
const checkTimeout = 2 * time.Second

// Health answers /v1/health, /v1/ready, /v1/live and /v1/metrics, without a key.
type Health struct {
	app     *gateway.App
	metrics http.Handler
}

// CaddyModule returns the Caddy module information.
func (*Health) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_health", New: func() caddy.Module { return new(Health) }}
}

// Provision finds the gateway and the registry of this config.
func (h *Health) Provision(ctx caddy.Context) (err error) {
	if h.app, err = gateway.AppOf(ctx); err != nil {
		return err
	}
	h.metrics = promhttp.HandlerFor(ctx.GetMetricsRegistry(), promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_health [<matcher>]
func (h *Health) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized subdirective %q: llm_health has no options", d.Val())
	}
	return nil
}

// ServeHTTP answers the health surface and passes everything else on.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if gateway.SurfaceOf(r.URL.Path) != gateway.Health {
		return next.ServeHTTP(w, r)
	}
	call := h.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return call.Fail(w, r, dialect.Errorf(dialect.MethodNotAllowed, "use GET"))
	}
	w.Header().Set("Cache-Control", "no-store")
	switch path := trimSlash(r.URL.Path); path {
	case "/v1/metrics":
		call.Status = http.StatusOK
		h.metrics.ServeHTTP(w, r)
		return nil
	case "/v1/live":
		return call.ServeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	default:
		report := h.check(r)
		status := http.StatusOK
		if path == "/v1/ready" && (report.Status == "down" || report.Status == "draining") {
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "1")
		}
		return call.ServeJSON(w, status, report)
	}
}

// report is the body of /v1/health and /v1/ready.
type report struct {
	// Status is ok, degraded (a dependency that the gateway can do without does not answer), down (one that it needs) or
	// draining (the gateway is about to end).
	Status       string            `json:"status"`
	Dependencies map[string]state  `json:"dependencies"`
	Providers    map[string]string `json:"providers"`
	Timestamp    string            `json:"timestamp"`
}

type state struct {
	Status    string  `json:"status"` // up or down
	LatencyMS float64 `json:"latency_ms"`
}

// check asks every dependency at the same time. Providers are reported as their calls went, not asked.
func (h *Health) check(r *http.Request) report {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	rep := report{Status: "ok", Dependencies: map[string]state{}, Providers: map[string]string{}, Timestamp: time.Now().UTC().Format(time.RFC3339)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, dependency := range map[string]struct {
		ping func(context.Context) error
		self any
	}{
		"database": {h.app.Keyring().Ping, h.app.Database()},
		"store":    {h.app.Store().Ping, h.app.Store()},
	} {
		wg.Go(func() {
			start := time.Now()
			err := dependency.ping(ctx)
			dep := state{Status: "up", LatencyMS: float64(time.Since(start).Microseconds()) / 1000}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				dep.Status = "down"
				if optional, ok := dependency.self.(gateway.Optional); !ok || !optional.Optional() {
					rep.Status = "down"
				} else if rep.Status == "ok" {
					rep.Status = "degraded"
				}
			}
			rep.Dependencies[name] = dep
		})
	}
	wg.Wait()
	for _, up := range h.app.Upstreams {
		rep.Providers[up.Name] = up.Status()
	}
	if caddy.Exiting() {
		rep.Status = "draining"
	}
	return rep
}

func trimSlash(path string) string {
	if n := len(path) - 1; n > 0 && path[n] == '/' {
		return path[:n]
	}
	return path
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Health)(nil)
	_ caddyhttp.MiddlewareHandler = (*Health)(nil)
	_ caddyfile.Unmarshaler       = (*Health)(nil)
)
