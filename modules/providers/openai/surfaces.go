package openai

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// defaultSurfaces are what a server has by what is known of its addresses. Most servers have the first three.
func defaultSurfaces(bases []string) []gateway.Capability {
	if slices.ContainsFunc(bases, func(base string) bool { return !vendor.Owns(base) }) {
		return []gateway.Capability{gateway.CanChat, gateway.CanEmbeddings, gateway.CanCompletions}
	}
	return gateway.Capabilities()
}

// checkSurfaces refuses unknown words.
func checkSurfaces(surfaces []gateway.Capability) error {
	for _, s := range surfaces {
		if !slices.Contains(gateway.Capabilities(), s) {
			return fmt.Errorf("surfaces: %q is none of %v", s, gateway.Capabilities())
		}
	}
	return nil
}

func (p *Provider) unmarshalSurfaces(d *caddyfile.Dispenser) error {
	var names []string
	if err := gateway.ListArgs(d, &names); err != nil {
		return err
	}
	for _, name := range names {
		p.Surfaces = append(p.Surfaces, gateway.Capability(name))
	}
	if err := checkSurfaces(p.Surfaces); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Can says whether the server has what a surface needs.
func (p *Provider) Can(c gateway.Capability) bool { return slices.Contains(p.Surfaces, c) }
