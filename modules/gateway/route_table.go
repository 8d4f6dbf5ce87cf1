package gateway

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// routes are where the config's models lead: exact names by a map, patterns in the order in which they are asked.
type routes struct {
	named    map[string]*Route
	patterns []*patternRoute
}

// patternRoute is where the names of a pattern lead.
type patternRoute struct {
	route     Route  // its targets' models may have stars
	prefix    string // the pattern's beginning, before its first star
	namespace int    // how much of a name a lone star leaves out: what the pattern has through the last slash of its prefix
	starred   bool   // a target's model has a star
}

func errNamedTwice(name string) error {
	return fmt.Errorf("model %s is given twice; put all of its targets into one block", name)
}

// add puts a model into the table.
func (r *routes) add(m *Model, route *Route) error {
	if isPattern(m.Name) {
		if slices.ContainsFunc(r.patterns, func(p *patternRoute) bool { return p.route.Own == m.Name }) {
			return errNamedTwice(m.Name)
		}
		prefix, _, _ := strings.Cut(m.Name, "*")
		p := &patternRoute{route: *route, prefix: prefix, namespace: strings.LastIndexByte(prefix, '/') + 1}
		for _, t := range slices.Concat(route.Targets, route.Fallbacks) {
			p.starred = p.starred || isPattern(t.Model)
		}
		r.patterns = append(r.patterns, p)
		return nil
	}
	for _, name := range m.names() {
		if _, ok := r.named[name]; ok {
			return errNamedTwice(name)
		}
		r.named[name] = route
	}
	return nil
}

// order puts the patterns with the longer literal beginning first.
func (r *routes) order() {
	slices.SortStableFunc(r.patterns, func(a, b *patternRoute) int {
		return cmp.Compare(len(b.prefix), len(a.prefix))
	})
}

// find is the route of a name; nil where no model of the config has it.
func (r *routes) find(name string) *Route {
	if route, ok := r.named[name]; ok {
		return route
	}
	for _, p := range r.patterns {
		if route := p.to(name); route != nil {
			return route
		}
	}
	return nil
}

// all are the routes as the config has them, those of aliases as often as there are any.
func (r *routes) all() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, route := range r.named {
			if !yield(route) {
				return
			}
		}
		for _, p := range r.patterns {
			if !yield(&p.route) {
				return
			}
		}
	}
}

// to is the route of a name of the pattern. It is nil for another name, and for one that leaves nothing for a target's model.
func (p *patternRoute) to(name string) *Route {
	if !strings.HasPrefix(name, p.prefix) { // most patterns are done with here
		return nil
	}
	stars, ok := matchName(p.route.Own, name)
	if !ok {
		return nil
	}
	if !p.starred {
		return &p.route
	}
	targets := slices.Concat(p.route.Targets, p.route.Fallbacks)
	for i := range targets {
		if targets[i].Model == loneStar {
			targets[i].Model = name[p.namespace:]
		} else {
			targets[i].Model = fill(targets[i].Model, &stars)
		}
		if targets[i].Model == "" {
			return nil
		}
	}
	first := len(p.route.Targets)
	route := p.route
	route.Targets, route.Fallbacks = targets[:first:first], targets[first:]
	return &route
}

// name is what clients call a target's model by, where the pattern and the target can be read backwards.
func (p *patternRoute) name(target, model string) (string, bool) {
	if target == loneStar {
		return p.route.Own[:p.namespace] + model, true
	}
	stars, ok := matchName(target, model)
	if !ok || strings.Count(target, "*") != strings.Count(p.route.Own, "*") {
		return "", false
	}
	return fill(p.route.Own, &stars), true
}

// NamesOf are the names by which the config's pattern leads to a model that a provider lists.
func (app *App) NamesOf(pattern *Model, up *Upstream, listed string) []string {
	var names []string
	at := slices.IndexFunc(app.routes.patterns, func(p *patternRoute) bool { return p.route.Own == pattern.Name })
	if at < 0 {
		return nil
	}
	p := app.routes.patterns[at]
	for _, t := range slices.Concat(p.route.Targets, p.route.Fallbacks) {
		if t.Provider != up.Name || !isPattern(t.Model) {
			continue
		}
		name, ok := p.name(t.Model, listed)
		if !ok || slices.Contains(names, name) {
			continue
		}
		if route := app.routes.find(name); route != nil && route.Own == pattern.Name { // else the name is another model's
			names = append(names, name)
		}
	}
	return names
}
