package gateway

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshalModel reads a model's block. What is wrong with it is told with its line.
func (app *App) unmarshalModel(d *caddyfile.Dispenser) error {
	m := new(Model)
	if !d.AllArgs(&m.Name) {
		return d.ArgErr()
	}
	if err := m.checkName(); err != nil {
		return d.WrapErr(err)
	}
	if err := app.checkNew(m.Name); err != nil {
		return d.WrapErr(err)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch kind := d.Val(); kind {
		case "alias":
			err = app.unmarshalAliases(d, m)
		case "target":
			err = m.unmarshalTarget(d)
		case "fallback":
			err = m.unmarshalFallback(d)
		default:
			err = d.Errf("unrecognized subdirective %q of model", kind)
		}
		if err != nil {
			return err
		}
	}
	if err := m.check(); err != nil {
		return d.WrapErr(err)
	}
	app.Models = append(app.Models, m)
	return nil
}

func (app *App) unmarshalAliases(d *caddyfile.Dispenser, m *Model) error {
	names := d.RemainingArgs()
	if len(names) == 0 {
		return d.ArgErr()
	}
	for _, name := range names {
		if err := m.checkAlias(name); err != nil {
			return d.WrapErr(err)
		}
		if slices.Contains(m.names(), name) {
			return d.WrapErr(errNamedTwice(name))
		}
		if err := app.checkNew(name); err != nil {
			return d.WrapErr(err)
		}
		m.Aliases = append(m.Aliases, name)
	}
	return nil
}

// checkNew refuses a name that an earlier model has.
func (app *App) checkNew(name string) error {
	for _, other := range app.Models {
		if slices.Contains(other.names(), name) {
			return errNamedTwice(name)
		}
	}
	return nil
}

func (m *Model) unmarshalTarget(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && (len(args) != 3 || args[1] != "weight") {
		return d.ArgErr()
	}
	target, err := ParseTarget(args[0])
	if err != nil {
		return d.Errf("target: %v", err)
	}
	if len(args) == 3 {
		weight, err := ParseCount(args[2])
		if err != nil || weight > 1_000_000 {
			return d.Errf("weight: %q is no whole number from 1 to 1_000_000", args[2])
		}
		target.Weight = int(weight)
	}
	if err := m.checkTarget(target); err != nil {
		return d.WrapErr(err)
	}
	m.Targets = append(m.Targets, target)
	return nil
}

func (m *Model) unmarshalFallback(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.ArgErr()
	}
	target, err := ParseTarget(args[0])
	if err != nil {
		return d.Errf("fallback: %v", err)
	}
	if err := m.checkTarget(target); err != nil {
		return d.WrapErr(err)
	}
	target.Weight = 0
	m.Fallbacks = append(m.Fallbacks, target)
	return nil
}
