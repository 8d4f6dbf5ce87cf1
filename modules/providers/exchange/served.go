package exchange

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Served are the models of a provider, as its config names them.
type Served struct {
	// Names lists the models that this provider serves. Default: those that are the provider's by their names, else whatever a client
	// asks for.
	Names []string `json:"models,omitempty"`
	// Default is the model of calls that name only the provider. Default: the first of Names.
	Default string `json:"default_model,omitempty"`
}

// SetDefault fills in the default model: the first of the list, else one that a provider without a list is known to have.
func (s *Served) SetDefault(known string) {
	if s.Default == "" && len(s.Names) > 0 {
		s.Default = s.Names[0]
	}
	s.Default = cmp.Or(s.Default, known)
}

// CheckDefault refuses a default that is not served.
func (s *Served) CheckDefault(serves func(model string) bool) error {
	if s.Default != "" && !serves(s.Default) {
		return fmt.Errorf("default_model: %q is none of models", s.Default)
	}
	return nil
}

// NamesModel says whether the config names a model, so that metrics may.
func (s *Served) NamesModel(model string) bool {
	return model == s.Default || slices.Contains(s.Names, model)
}

// DefaultModel is the model of calls that name only the provider.
func (s *Served) DefaultModel() string { return s.Default }

// Models lists the models of the config, without the network.
func (s *Served) Models(context.Context) ([]gateway.ProviderModel, error) {
	models := make([]gateway.ProviderModel, len(s.Names))
	for i, name := range s.Names {
		models[i] = gateway.ProviderModel{ID: name}
	}
	return models, nil
}

// Options are the subdirectives of a Caddyfile that set it.
func (s *Served) Options() gateway.Options {
	return gateway.Options{"models": &s.Names, "default_model": &s.Default}
}
