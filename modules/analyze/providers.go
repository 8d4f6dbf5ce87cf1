package analyze

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// providerState is one provider in the list of providers.
type providerState struct {
	Name    string   `json:"name"`
	Status  string   `json:"status"`  // available, degraded or unavailable
	Default bool     `json:"default"` // auto asks it first
	Models  []string `json:"models"`
}

func (h *Handler) serveProviders(call *gateway.Call, w http.ResponseWriter, r *http.Request) error {
	return call.ServeJSON(w, http.StatusOK, map[string]any{"providers": h.choices.states(r.Context())})
}

// states asks all providers at once, so that a slow one costs its own timeout and not the sum of all.
func (c *choices) states(ctx context.Context) []providerState {
	states := make([]providerState, len(c.app.Upstreams))
	var wg sync.WaitGroup
	for i, up := range c.app.Upstreams {
		wg.Go(func() {
			states[i] = providerState{
				Name:    up.Name,
				Status:  up.Status(),
				Default: up == c.first,
				Models:  c.modelsOf(ctx, up),
			}
		})
	}
	wg.Wait()
	return states
}

// modelsOf lists what a provider says it has, or else its default model; and what the config sends it.
func (c *choices) modelsOf(ctx context.Context, up *gateway.Upstream) []string {
	listed, _ := c.rosters[up].models(ctx) // a provider that cannot say now is no error of this answer
	models := append([]string{}, listed...)
	if fallback := up.Provider.DefaultModel(); len(models) == 0 && fallback != "" {
		models = append(models, fallback)
	}
	for _, m := range c.app.Models {
		for _, targets := range [][]gateway.Target{m.Targets, m.Fallbacks} {
			for _, t := range targets {
				if t.Provider == up.Name && !strings.Contains(t.Model, "*") && !slices.Contains(models, t.Model) {
					models = append(models, t.Model)
				}
			}
		}
	}
	return models
}
