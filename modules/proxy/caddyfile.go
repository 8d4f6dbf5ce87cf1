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
//		on_unsupported      refuse|drop
//		lb_retries          <n>
//		lb_try_duration     <duration>
//		connect_timeout     <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		timeout             <duration>
//		keepalive_interval  <duration>|off
//	}
func (p *Proxy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch d.Val() {
		case "on_unsupported":
			if err = gateway.OneArg(d, (*string)(&p.OnUnsupported)); err == nil && p.OnUnsupported != Refuse && p.OnUnsupported != Drop {
				err = d.Errf("on_unsupported: %q is none of refuse and drop", p.OnUnsupported)
			}
		case "lb_retries":
			err = gateway.CountArg(d, &p.Retries)
		case "lb_try_duration":
			err = gateway.DurationArg(d, &p.TryDuration)
		case "connect_timeout":
			err = gateway.DurationArg(d, &p.ConnectTimeout)
		case "first_token_timeout":
			err = gateway.DurationArg(d, &p.FirstTokenTimeout)
		case "idle_timeout":
			err = gateway.DurationArg(d, &p.IdleTimeout)
		case "timeout":
			err = gateway.DurationArg(d, &p.Timeout)
		case "keepalive_interval":
			err = p.unmarshalKeepAlive(d)
		default:
			err = d.Errf("unrecognized subdirective %q of llm_proxy", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) unmarshalKeepAlive(d *caddyfile.Dispenser) error {
	if p.KeepAliveInterval == 0 && d.CountRemainingArgs() == 1 {
		if d.NextArg(); d.Val() == "off" {
			p.KeepAliveInterval = -1
			return nil
		}
		d.Prev()
	}
	return gateway.DurationArg(d, &p.KeepAliveInterval)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Proxy)(nil)
