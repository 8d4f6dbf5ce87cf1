package cache

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("llm_cache", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		c := new(Cache)
		return c, c.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_cache [<matcher>] {
//		ttl       <duration>
//		scope     key|team|shared
//		match     deterministic|all
//		max_entry <size>
//		stale_if_error <duration>
//	}
func (c *Cache) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "ttl":
			err = gateway.DurationArg(d, &c.TTL)
		case "scope":
			err = gateway.OneArg(d, (*string)(&c.Scope))
		case "match":
			err = gateway.OneArg(d, (*string)(&c.Match))
		case "stale_if_error":
			err = gateway.DurationArg(d, &c.StaleIfError)
		case "max_entry":
			err = gateway.SizeArg(d, &c.MaxEntry)
		default:
			err = d.Errf("unrecognized subdirective %q of llm_cache", option)
		}
		if err != nil {
			return err
		}
		if err := c.checkWords(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Cache)(nil)
