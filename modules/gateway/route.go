package gateway

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Route is where a call goes: the targets that may answer it.
type Route struct {
	// Name is the model's name for metrics: from the config, or "_other".
	Name string
	// Own is the name of the config's model, which may be a pattern; "" for a provider's own model.
	Own       string
	Targets   []Target
	Fallbacks []Target
	// AvailableFirst asks those last whose provider is unavailable now.
	AvailableFirst bool
}

// OtherLabel stands in metrics for every name that does not come from the config.
const OtherLabel = "_other"

// buildRoutes resolves the configured models, so that a mistake is found when the config is loaded.
func (app *App) buildRoutes() error {
	app.routes = routes{named: make(map[string]*Route, len(app.Models))}
	for _, m := range app.Models {
		if err := m.check(); err != nil {
			return err
		}
		route := &Route{Name: m.Name, Own: m.Name}
		var err error
		if route.Targets, err = app.resolveTargets(m.Name, m.Targets); err != nil {
			return err
		}
		if route.Fallbacks, err = app.resolveTargets(m.Name, m.Fallbacks); err != nil {
			return err
		}
		if err := app.routes.add(m, route); err != nil {
			return err
		}
	}
	app.routes.order()
	return nil
}

func (app *App) resolveTargets(model string, targets []Target) ([]Target, error) {
	resolved := make([]Target, len(targets))
	for i, t := range targets {
		up, ok := app.Upstream(t.Provider)
		if !ok {
			return nil, fmt.Errorf("model %s: target %s/%s: there is no provider %q; the config has: %s",
				model, t.Provider, t.Model, t.Provider, strings.Join(app.upstreamNames(), ", "))
		}
		if t.Weight == 0 {
			t.Weight = 1
		}
		t.up = up
		resolved[i] = t
	}
	return resolved, nil
}

func (app *App) upstreamNames() []string {
	names := make([]string, len(app.Upstreams))
	for i, up := range app.Upstreams {
		names[i] = up.Name
	}
	return names
}

// HasModel says whether the config knows a model: one of its own, or one that a provider lists without being asked.
func (app *App) HasModel(name string) bool {
	return app.RouteTo(name) != nil
}

// RouteTo finds where a model's name leads: a model of the config by name, by alias or by pattern, else <provider>/<model>, else the first provider
// that serves the name. Nil where nobody does.
func (app *App) RouteTo(model string) *Route {
	if route := app.routes.find(model); route != nil {
		return route
	}
	if provider, rest, ok := strings.Cut(model, "/"); ok {
		if up, ok := app.Upstream(provider); ok && up.Provider.Serves(rest) {
			return routeVia(up, rest)
		}
	}
	for _, up := range app.Upstreams {
		if up.Provider.Serves(model) {
			return routeVia(up, model)
		}
	}
	return nil
}

// RouteVia leads to one provider's model. An empty model is the provider's default.
func (app *App) RouteVia(up *Upstream, model string) *Route {
	if model == "" {
		model = up.Provider.DefaultModel()
	}
	return routeVia(up, model)
}

func routeVia(up *Upstream, model string) *Route {
	name := OtherLabel
	if lister, ok := up.Provider.(ModelNamer); ok && model != "" && lister.NamesModel(model) {
		name = model
	}
	return &Route{Name: name, Targets: []Target{{Provider: up.Name, Model: model, Weight: 1, up: up}}}
}

// ModelNamer is implemented by providers whose config or code names their models, so that metrics may.
type ModelNamer interface {
	NamesModel(model string) bool
}

// Resolve finds the call's route and checks that its key may use the model, once. It needs Parse.
func (c *Call) Resolve() *dialect.Error {
	if c.Route == nil {
		route, err := c.App.routeOn(c.Surface, c.Model)
		if err != nil {
			return err
		}
		c.Route = route
	}
	if c.Key != nil && c.namesOthers() {
		return &dialect.Error{Kind: dialect.Permission, Field: "models", Message: "this key may use certain models only; name one of them in model"}
	}
	if c.Key != nil && !c.Key.MayAsk(c.Model, c.Route) {
		if c.Model == "" {
			return &dialect.Error{Kind: dialect.Permission, Field: "model", Message: "this key may use certain models only; name one of them"}
		}
		return &dialect.Error{Kind: dialect.Permission, Field: "model",
			Message: fmt.Sprintf("this key may not use the model %q", clip(c.Model, 100))}
	}
	return nil
}

// namesOthers says whether a call whose key may use certain models only could be answered by others: OpenRouter, for one, takes a list
// of models beside the one, which goes to it as it is.
func (c *Call) namesOthers() bool {
	return len(c.Key.Models) > 0 && c.Native == nil && c.ContentType == "" && gjson.GetBytes(c.Body(), "models").Exists()
}

// clip shortens a client's text for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
