package gateway

import (
	"context"
	"slices"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// plainProvider does not say what it has; sayingProvider does.
type plainProvider struct{}

func (plainProvider) Send(context.Context, *Attempt) (*Reply, error)  { return nil, nil }
func (plainProvider) Dialect() dialect.Name                           { return dialect.OpenAI }
func (plainProvider) Models(context.Context) ([]ProviderModel, error) { return nil, nil }
func (plainProvider) Serves(string) bool                              { return true }
func (plainProvider) DefaultModel() string                            { return "m" }

type sayingProvider struct {
	plainProvider
	has []Capability
}

func (p sayingProvider) Can(c Capability) bool { return slices.Contains(p.has, c) }

func TestWhatProvidersCan(t *testing.T) {
	for name, tt := range map[string]struct {
		provider Provider
		can      []Capability
	}{
		"one that does not say":                            {plainProvider{}, []Capability{CanChat, CanEmbeddings, CanResponses}},
		"one with chat, to which responses are translated": {sayingProvider{has: []Capability{CanChat}}, []Capability{CanChat, CanResponses}},
		"one with responses alone":                         {sayingProvider{has: []Capability{CanResponses}}, []Capability{CanResponses}},
		"one with audio alone":                             {sayingProvider{has: []Capability{CanAudio}}, []Capability{CanAudio}},
	} {
		up := &Upstream{Provider: tt.provider}
		for _, c := range Capabilities() {
			if up.Can(c) != slices.Contains(tt.can, c) {
				t.Errorf("%s: can %s: %t", name, c, up.Can(c))
			}
		}
	}
}

func TestEverySurfaceThatAsksAModelSaysWhatItNeeds(t *testing.T) {
	for _, surface := range modelSurfaces() {
		if !slices.Contains(Capabilities(), surface.Needs) {
			t.Errorf("%s needs %q", surface.Name, surface.Needs)
		}
	}
}
