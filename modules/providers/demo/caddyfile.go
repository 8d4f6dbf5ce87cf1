package demo

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the provider's options. Syntax:
//
//	provider <name> demo {
//		delay <duration>
//		pace  <duration>
//		words <n>
//		fail  <status>|disconnect|malformed|stall [<every>]
//	}
//
// fail may be repeated. It spoils every n-th call, by default each one.
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if option != "fail" && seen[option] {
			return d.Errf("%s already specified", option)
		}
		seen[option] = true

		var err error
		switch option {
		case "delay":
			p.Delay, err = durationArg(d)
		case "pace":
			p.Pace, err = durationArg(d)
		case "words":
			p.Words, err = countArg(d)
		case "fail":
			err = p.unmarshalFailure(d)
		default:
			return d.Errf("unrecognized subdirective %q", option)
		}
		if err != nil {
			return err
		}
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	return nil
}

func (p *Provider) unmarshalFailure(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	f := Failure{Kind: d.Val()}
	if d.CountRemainingArgs() > 0 {
		every, err := countArg(d)
		if err != nil {
			return err
		}
		f.Every = every
	}
	if err := f.validate(); err != nil {
		return d.WrapErr(err)
	}
	p.Failures = append(p.Failures, f)
	return nil
}

func durationArg(d *caddyfile.Dispenser) (caddy.Duration, error) {
	if !d.NextArg() {
		return 0, d.ArgErr()
	}
	v, err := caddy.ParseDuration(d.Val())
	if err != nil {
		return 0, d.Errf("parsing duration %q: %w", d.Val(), err)
	}
	if v < 0 {
		return 0, d.Errf("duration must not be negative: %s", v)
	}
	return caddy.Duration(v), nil
}

// countArg reads a whole number of at least one, such as 10_000.
func countArg(d *caddyfile.Dispenser) (int, error) {
	if !d.NextArg() {
		return 0, d.ArgErr()
	}
	n, err := strconv.ParseInt(d.Val(), 0, 32)
	if err != nil || n < 1 {
		return 0, d.Errf("expected a whole number of at least 1, not %q", d.Val())
	}
	return int(n), nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Provider)(nil)
