package analyze

import (
	"context"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// automatic is what llm_provider "auto" means: all providers, the default one first. Those that are not available are asked last, and
// one that fails is followed by the next.
type automatic struct {
	choices *choices
	order   []*gateway.Upstream
	all     *target // where no provider has to be asked for its models first
}

// newAutomatic leaves out the demo where there is anything else, since what it makes up is no answer in place of another's.
func newAutomatic(c *choices, first *gateway.Upstream) *automatic {
	a := &automatic{choices: c, order: []*gateway.Upstream{first}}
	known := first.Provider.DefaultModel() != ""
	for _, up := range c.app.Upstreams {
		if up != first && !isDemo(up) {
			a.order = append(a.order, up)
			known = known && up.Provider.DefaultModel() != ""
		}
	}
	if known {
		all, _ := a.among(context.Background(), nil)
		a.all = &all
	}
	return a
}

// resolve is the target for a key. It asks for models only until one provider is found, and of those that remain only those take part
// whose models are known by then.
func (a *automatic) resolve(ctx context.Context, key *gateway.Key) (target, *dialect.Error) {
	if a.all != nil && (key == nil || len(key.Models) == 0) {
		return *a.all, nil
	}
	return a.among(ctx, key)
}

func (a *automatic) among(ctx context.Context, key *gateway.Key) (target, *dialect.Error) {
	var found, denied target
	var failure *dialect.Error
	for _, up := range a.order {
		model, err := a.modelOf(ctx, up, found.route != nil)
		if err != nil && failure == nil {
			failure = err
		}
		if model == "" {
			continue
		}
		t := a.choices.targetAt(up, model)
		switch {
		case key != nil && !key.MayUse(model):
			if denied.route == nil {
				denied = t
			}
		case found.route == nil:
			found = t
			found.route.AvailableFirst = true
		default:
			found.route.Fallbacks = append(found.route.Fallbacks, t.route.Targets...)
		}
	}
	switch {
	case found.route != nil:
		return found, nil
	case denied.route != nil:
		return denied, nil // the call will be told so
	}
	return target{}, failure
}

// modelOf is the model that a provider is asked for; "" where that is not known. spare says that there is somebody to ask already.
func (a *automatic) modelOf(ctx context.Context, up *gateway.Upstream, spare bool) (string, *dialect.Error) {
	if model := up.Provider.DefaultModel(); model != "" {
		return model, nil
	}
	roster := a.choices.rosters[up]
	if spare {
		return roster.first(), nil
	}
	models, err := roster.models(ctx)
	if err != nil {
		return "", providerError(up, err)
	}
	if len(models) == 0 {
		return "", dialect.Errorf(dialect.Unavailable, "the provider %s lists no model that could be asked", up.Name)
	}
	return models[0], nil
}

// asksNobody tells whether resolve needs no question.
func (a *automatic) asksNobody() bool { return a.all != nil }
