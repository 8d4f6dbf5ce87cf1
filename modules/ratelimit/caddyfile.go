package ratelimit

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { httpcaddyfile.RegisterDirective("llm_rate_limit", parse) }

// parse is what RegisterHandlerDirective does, and also names the zone after the matcher, so that two handlers behind
// different matchers never count together.
func parse(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	l := new(RateLimit)
	if h.NextArg() {
		if name := h.Val(); strings.HasPrefix(name, "@") || strings.HasPrefix(name, "/") {
			l.Zone = strings.TrimLeft(name, "@")
		}
		h.Prev()
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	if err := l.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, l), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_rate_limit [<matcher>] {
//		key         <placeholder>
//		zone        <name>
//		requests    <n> <window>
//		tokens      <n> <window>
//		concurrency <n>
//	}
//
// Without a block, the limits of the caller's key and team hold. Each kind of limit may be given for several windows.
func (l *RateLimit) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	line := d.Token()
	var concurrency int64
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "key":
			err = gateway.OneArg(d, &l.Key)
		case "zone":
			l.Zone = "" // the matcher's name was only a default
			err = gateway.OneArg(d, &l.Zone)
		case "requests", "tokens":
			err = l.unmarshalLimit(d, gateway.LimitKind(option))
		case "concurrency":
			if err = gateway.CountArg(d, &concurrency); err == nil {
				l.Limits = append(l.Limits, Limit{Kind: gateway.LimitConcurrency, N: concurrency})
			}
		default:
			err = d.Errf("unrecognized subdirective %q of llm_rate_limit", option)
		}
		if err != nil {
			return err
		}
		if err := l.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	if d.Val() == "}" && len(l.Limits) == 0 { // an empty block counts as one, too
		return d.Errf("%s has a block without a limit, which would limit nothing; add requests, tokens or concurrency", line.Text)
	}
	return nil
}

func (l *RateLimit) unmarshalLimit(d *caddyfile.Dispenser, kind gateway.LimitKind) error {
	var count, window string
	if !d.AllArgs(&count, &window) {
		return d.Errf("%s takes a number and a window, as in `%s 1000 1h`", kind, kind)
	}
	n, err := gateway.ParseCount(count)
	if err != nil {
		return d.Errf("%s: %v", kind, err)
	}
	length, err := gateway.ParseDuration(window)
	if err != nil {
		return d.Errf("%s: %v", kind, err)
	}
	l.Limits = append(l.Limits, Limit{Kind: kind, N: n, Window: caddy.Duration(length)})
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*RateLimit)(nil)
