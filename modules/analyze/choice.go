package analyze

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// target is where a request goes.
type target struct {
	provider string // "" where a model of the config spreads its calls over providers
	model    string // the name that a key needs permission for
	route    *gateway.Route
}

// choices knows what each llm_provider means.
type choices struct {
	app     *gateway.App
	first   *gateway.Upstream // that auto asks first
	auto    *automatic
	byName  map[string]*choice
	rosters map[*gateway.Upstream]*roster
}

// choice is one meaning: the target, or the provider whose default model is still to be asked for.
type choice struct {
	target target
	ask    *gateway.Upstream
}

// newChoices settles the names. A provider's own name goes before a model's, and a model's before an alias.
func newChoices(app *gateway.App, defaultProvider string) (*choices, error) {
	if len(app.Upstreams) == 0 {
		return nil, fmt.Errorf("there is no provider to ask; configure one")
	}
	c := &choices{
		app:     app,
		first:   app.Upstreams[0],
		byName:  make(map[string]*choice),
		rosters: make(map[*gateway.Upstream]*roster, len(app.Upstreams)),
	}
	if defaultProvider != "" {
		up, ok := app.Upstream(defaultProvider)
		if !ok {
			return nil, fmt.Errorf("default_provider: there is no provider %q; the config has: %s",
				defaultProvider, strings.Join(upstreamNames(app), ", "))
		}
		c.first = up
	}
	for _, up := range app.Upstreams {
		c.rosters[up] = newRoster(up.Provider)
	}
	demo := !slices.ContainsFunc(app.Upstreams, func(up *gateway.Upstream) bool { return !isDemo(up) })
	for _, alias := range aliases {
		if up := providerOf(app.Upstreams, alias.vendor, alias.speaks); up != nil {
			c.byName[alias.name] = c.via(up)
		} else if demo {
			c.byName[alias.name] = c.via(c.first)
		}
	}
	for _, m := range app.Models {
		if m.IsPattern() {
			continue
		}
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			c.byName[name] = &choice{target: target{model: name, route: app.RouteTo(name)}}
		}
	}
	for _, up := range app.Upstreams {
		c.byName[up.Name] = c.via(up)
	}
	delete(c.byName, auto)
	c.auto = newAutomatic(c, c.first)
	return c, nil
}

func upstreamNames(app *gateway.App) []string {
	names := make([]string, len(app.Upstreams))
	for i, up := range app.Upstreams {
		names[i] = up.Name
	}
	return names
}

func (c *choices) via(up *gateway.Upstream) *choice {
	if up.Provider.DefaultModel() == "" {
		return &choice{ask: up}
	}
	return &choice{target: c.targetAt(up, up.Provider.DefaultModel())}
}

func (c *choices) targetAt(up *gateway.Upstream, model string) target {
	return target{provider: up.Name, model: model, route: c.app.RouteVia(up, model)}
}

// resolve finds the target that a request's llm_provider names, for a key: a name of byName, or one of a pattern of the config.
func (c *choices) resolve(ctx context.Context, name string, key *gateway.Key) (target, *dialect.Error) {
	if name == auto {
		return c.auto.resolve(ctx, key)
	}
	found, ok := c.byName[name]
	if !ok {
		if found := c.patterned(name); found.route != nil {
			return found, nil
		}
		return target{}, invalid("llm_provider", "llm_provider %q is not there; ask for one of %s", clip(name, 64), strings.Join(c.names(), ", "))
	}
	if found.ask == nil {
		return found.target, nil
	}
	models, err := c.rosters[found.ask].models(ctx)
	if err != nil {
		return target{}, providerError(found.ask, err)
	}
	if len(models) == 0 {
		return target{}, dialect.Errorf(dialect.Unavailable, "the provider %s lists no model that could be asked", found.ask.Name)
	}
	return c.targetAt(found.ask, models[0]), nil
}

// known is resolve for names whose target needs no question.
func (c *choices) known(ctx context.Context, name string, key *gateway.Key) (target, *dialect.Error) {
	found, ok := c.byName[name]
	switch {
	case name == auto && c.auto.asksNobody():
		return c.auto.resolve(ctx, key)
	case ok && found.ask == nil:
		return found.target, nil
	case !ok && name != auto:
		if t := c.patterned(name); t.route != nil {
			return t, nil
		}
	}
	return target{}, invalid("llm_provider", "llm_provider %q is not known yet", clip(name, 64))
}

// patterned is the target of a name that a pattern of the config has.
func (c *choices) patterned(name string) target {
	if route := c.app.RouteTo(name); route != nil && route.Own != "" {
		return target{model: name, route: route}
	}
	return target{}
}

// names lists what llm_provider may say, auto first.
func (c *choices) names() []string {
	names := make([]string, 0, len(c.byName))
	for name := range c.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Insert(names, 0, auto)
}
