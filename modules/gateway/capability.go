package gateway

import (
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Capability is what a provider has to have so that calls of a surface can go to it, as the config writes it.
type Capability string

// The capabilities.
const (
	CanChat        Capability = "chat"
	CanEmbeddings  Capability = "embeddings"
	CanResponses   Capability = "responses"   // OpenAI's Responses API; calls of it are translated for who can but chat
	CanCompletions Capability = "completions" // the older API of texts
	CanImages      Capability = "images"
	CanAudio       Capability = "audio"
	CanModerations Capability = "moderations"
	CanFiles       Capability = "files"
)

// Capabilities are all of them.
func Capabilities() []Capability {
	return []Capability{CanChat, CanEmbeddings, CanResponses, CanCompletions, CanImages, CanAudio, CanModerations, CanFiles}
}

// Capable is implemented by providers that have more than chat and embeddings, or less.
type Capable interface {
	Can(Capability) bool
}

// Can says whether calls that need a capability can go to the provider.
func (up *Upstream) Can(c Capability) bool {
	capable, ok := up.Provider.(Capable)
	if !ok {
		return c == CanChat || c == CanEmbeddings || c == CanResponses
	}
	return capable.Can(c) || c == CanResponses && capable.Can(CanChat)
}

// can says whether one of the route's targets has a capability.
func (r *Route) can(c Capability) bool {
	for _, targets := range [...][]Target{r.Targets, r.Fallbacks} {
		for i := range targets {
			if targets[i].up.Can(c) {
				return true
			}
		}
	}
	return false
}

// routeOn finds where a model's name leads on a surface. Of several providers that serve a name which the config has not, the first
// with what the surface needs is meant.
func (app *App) routeOn(surface *Surface, model string) (*Route, *dialect.Error) {
	if model == "" {
		return app.RouteWith(surface)
	}
	route := app.RouteTo(model)
	switch {
	case route == nil:
		return nil, &dialect.Error{Kind: dialect.ModelNotFound, Field: "model",
			Message: fmt.Sprintf("the model %q does not exist here; GET /v1/models lists those that do", clip(model, 100))}
	case route.can(surface.Needs):
		return route, nil
	case route.Own == "" && route.Targets[0].Model == model:
		for _, up := range app.Upstreams {
			if up.Can(surface.Needs) && up.Provider.Serves(model) {
				return routeVia(up, model), nil
			}
		}
	}
	return nil, surface.Lacking(model)
}

// RouteWith leads to the first provider that has what a surface needs, and leaves the model to it.
func (app *App) RouteWith(surface *Surface) (*Route, *dialect.Error) {
	for _, up := range app.Upstreams {
		if up.Can(surface.Needs) {
			return RouteBy(up), nil
		}
	}
	return nil, dialect.Errorf(dialect.NotFound, "no provider of this gateway has %s; the option surfaces of a provider says what it has", surface.Needs)
}

// RouteBy leads to a provider, for calls that name no model.
func RouteBy(up *Upstream) *Route {
	return &Route{Name: OtherLabel, Targets: []Target{{Provider: up.Name, Weight: 1, up: up}}}
}

// Lacking is why a model cannot be asked on a surface.
func (s *Surface) Lacking(model string) *dialect.Error {
	return &dialect.Error{Kind: dialect.ModelNotFound, Field: "model",
		Message: fmt.Sprintf("the model %q has no %s here: its provider does not have that surface; ask another model", clip(model, 100), s.Needs)}
}
