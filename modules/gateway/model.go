package gateway

import (
	"fmt"
	"strings"
)

// Model is a name that clients ask for, and where it leads.
type Model struct {
	// Name is what clients put into a call's model. Each * in it stands for any run of characters, so that one model has many names; an
	// exact name goes before a pattern, a pattern with a longer beginning before one with a shorter, and the earlier before the later.
	Name string `json:"name"`
	// Aliases are more names of the same model. A pattern has none.
	Aliases []string `json:"aliases,omitempty"`
	// Targets share the calls by weight. In a pattern's, a model that is * alone is the client's name, without what the pattern has
	// through the last slash before its first star; any other * stands for what the pattern's star in the same place matched.
	Targets []Target `json:"targets"`
	// Fallbacks are asked in order where no target answers.
	Fallbacks []Target `json:"fallbacks,omitempty"`
}

// Target is a provider and its own name for a model.
type Target struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Weight is a target's share of the calls. Default: 1.
	Weight int `json:"weight,omitempty"`

	up *Upstream
}

// Upstream is the target's provider.
func (t Target) Upstream() *Upstream { return t.up }

// ParseTarget reads <provider>/<model>; the model may hold slashes of its own.
func ParseTarget(text string) (Target, error) {
	provider, model, ok := strings.Cut(text, "/")
	if !ok || provider == "" || model == "" {
		return Target{}, fmt.Errorf("%q is not of the form <provider>/<model>", text)
	}
	return Target{Provider: provider, Model: model, Weight: 1}, nil
}

// check finds mistakes within the model.
func (m *Model) check() error {
	if err := m.checkName(); err != nil {
		return err
	}
	for _, alias := range m.Aliases {
		if err := m.checkAlias(alias); err != nil {
			return err
		}
	}
	if len(m.Targets) == 0 {
		return fmt.Errorf("model %s has no target; add `target <provider>/<model>`", m.Name)
	}
	for _, targets := range [...][]Target{m.Targets, m.Fallbacks} {
		for _, t := range targets {
			if err := m.checkTarget(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Model) checkName() error {
	if m.Name == "" {
		return fmt.Errorf("model: a name is missing")
	}
	if err := checkPattern(m.Name); err != nil {
		return fmt.Errorf("model %s: %w", m.Name, err)
	}
	return nil
}

func (m *Model) checkAlias(alias string) error {
	switch {
	case alias == "":
		return fmt.Errorf("model %s: an alias is empty", m.Name)
	case isPattern(alias):
		return fmt.Errorf("model %s: alias %s: an alias is one name; give the pattern a model of its own", m.Name, alias)
	case isPattern(m.Name):
		return fmt.Errorf("model %s: alias %s: a pattern has no aliases; give the name a model of its own", m.Name, alias)
	}
	return nil
}

// checkTarget refuses stars that stand for nothing.
func (m *Model) checkTarget(t Target) error {
	if t.Weight < 0 {
		return fmt.Errorf("model %s: target %s/%s: weight %d is negative", m.Name, t.Provider, t.Model, t.Weight)
	}
	stars, own := strings.Count(t.Model, "*"), strings.Count(m.Name, "*")
	switch {
	case stars > 0 && own == 0:
		return fmt.Errorf("model %s: target %s/%s: * stands for what a * in the model's name matched, and it has none", m.Name, t.Provider, t.Model)
	case stars > own:
		return fmt.Errorf("model %s: target %s/%s: it has %d stars, and the model's name has %d to say what they stand for", m.Name, t.Provider, t.Model, stars, own)
	}
	return nil
}

// IsPattern says whether the model's name stands for many.
func (m *Model) IsPattern() bool { return isPattern(m.Name) }

// names are the model's own name and its aliases.
func (m *Model) names() []string { return append([]string{m.Name}, m.Aliases...) }
