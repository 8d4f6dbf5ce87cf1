package gateway

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// What may happen to a call before its model is known, to one whose model is known, and to an attempt at a provider.
var (
	earlyCodes = []string{"401", "429", "500", "503"}
	lateCodes  = []string{"200", "500", "502", "503", "504"}
	outcomes   = []string{"ok", string(dialect.UpstreamFailed), string(dialect.UpstreamAuth), string(dialect.Unavailable), string(dialect.Timeout), string(dialect.RateLimit)}
)

// prepare makes the counters of what the config names, at zero: a rate sees no increase in a series that begins with its first event,
// so an alert would miss what happens once. Histograms begin with their first value. A surface that no provider has gets none.
func (m *metrics) prepare(app *App) {
	routes := app.namedRoutes()
	for _, surface := range modelSurfaces() {
		if !slices.ContainsFunc(app.Upstreams, func(up *Upstream) bool { return up.Can(surface.Needs) }) {
			continue
		}
		for _, code := range earlyCodes {
			m.requests.WithLabelValues(surface.Name, OtherLabel, code)
		}
		for _, route := range routes {
			if !route.can(surface.Needs) {
				continue
			}
			for _, code := range lateCodes {
				m.requests.WithLabelValues(surface.Name, route.Name, code)
			}
		}
		results := []CacheResult{CacheHit, CacheMiss, CacheCollapsed, CacheBypass, CacheStale}
		if surface.Passed {
			results = []CacheResult{CacheBypass}
		}
		for _, result := range results {
			m.cache.WithLabelValues(surface.Name, string(result))
		}
	}
	for _, route := range routes {
		for _, target := range slices.Concat(route.Targets, route.Fallbacks) {
			for _, outcome := range outcomes {
				m.upstream.WithLabelValues(target.Provider, route.Name, outcome)
			}
		}
	}
	for _, up := range app.Upstreams {
		m.truncated.WithLabelValues(up.Name)
		m.unsaid.WithLabelValues(up.Name)
	}
	for _, what := range []Retained{RetainedUsage, RetainedCalls} {
		m.dropped.WithLabelValues(string(what))
	}
	for _, kind := range []LimitKind{LimitRequests, LimitTokens, LimitConcurrency} {
		app.ExpectRejections("key", kind)
		app.ExpectRejections("team", kind)
	}
}

// namedRoutes are those to the config's models, and to each provider's default model.
func (app *App) namedRoutes() []*Route {
	routes := make([]*Route, 0, len(app.Models)+len(app.Upstreams))
	routes = slices.AppendSeq(routes, app.routes.all())
	for _, up := range app.Upstreams {
		routes = append(routes, app.RouteVia(up, ""))
	}
	return routes
}

// modelSurfaces are those that ask something of a model.
func modelSurfaces() []*Surface {
	var found []*Surface
	for _, surface := range surfaces {
		if surface.Operation != "" {
			found = append(found, surface)
		}
	}
	return found
}

// ExpectRejections makes the counter of a limit that the config has, at zero.
func (app *App) ExpectRejections(scope string, kind LimitKind) {
	app.metrics.rejections.WithLabelValues(scope, string(kind))
}
