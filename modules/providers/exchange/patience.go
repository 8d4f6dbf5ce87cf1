package exchange

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Patience is how long a provider may take, as its config says, which goes before what an attempt says.
type Patience struct {
	// ConnectTimeout bounds the dial and the TLS handshake, each. Default: as llm_proxy says, else 3s.
	ConnectTimeout caddy.Duration `json:"connect_timeout,omitempty"`
	// FirstTokenTimeout bounds the wait for the first event of a stream, and for a whole answer's head. Default: as llm_proxy says, else 60s.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`
	// IdleTimeout bounds the wait between two events, and between two reads of a whole answer. Default: as llm_proxy says, else 120s.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`
	// Timeout bounds an attempt, to the end of its answer. Default: as llm_proxy says, else none.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// Open makes a client ready that has it.
func (p *Patience) Open(c *Client) {
	c.FirstToken, c.Idle, c.Total = time.Duration(p.FirstTokenTimeout), time.Duration(p.IdleTimeout), time.Duration(p.Timeout)
	c.Open(time.Duration(p.ConnectTimeout))
}

// Options are the subdirectives of a Caddyfile that set it.
func (p *Patience) Options() gateway.Options {
	return gateway.Options{
		"connect_timeout":     &p.ConnectTimeout,
		"first_token_timeout": &p.FirstTokenTimeout,
		"idle_timeout":        &p.IdleTimeout,
		"timeout":             &p.Timeout,
	}
}
