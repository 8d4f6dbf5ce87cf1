package proxy

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("llm_proxy", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p := new(Proxy)
		return p, p.UnmarshalCaddyfile(h.Dispenser)
	})
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_proxy [<matcher>] {
//		on_unsupported refuse|drop
//	}
func (p *Proxy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if d.Val() != "on_unsupported" {
			return d.Errf("unrecognized subdirective %q of llm_proxy", d.Val())
		}
		if err := gateway.OneArg(d, (*string)(&p.OnUnsupported)); err != nil {
			return err
		}
		if p.OnUnsupported != Refuse && p.OnUnsupported != Drop {
			return d.Errf("on_unsupported: %q is none of refuse and drop", p.OnUnsupported)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Proxy)(nil)
