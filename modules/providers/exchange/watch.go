package exchange

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// The timeouts where neither the provider's config nor the attempt says any. An attempt as a whole is not bounded then.
const (
	DefaultConnectTimeout    = 3 * time.Second
	DefaultFirstTokenTimeout = 60 * time.Second
	DefaultIdleTimeout       = 120 * time.Second
)

var (
	errFirstToken = errors.New("did not begin to answer in time")
	errIdle       = errors.New("fell silent in the middle of its answer")
	errTotal      = errors.New("did not finish its answer in time")
)

// watch ends an exchange in which the provider stays silent for too long, or that takes too long altogether. Silence does not count
// while the client is written to.
type watch struct {
	first  *time.Timer // until the first event
	idle   *time.Timer // between events; nil before the first
	length time.Duration
	total  *time.Timer // nil where there is no such bound
	cancel context.CancelCauseFunc
}

// watch begins to watch over an attempt.
func (c *Client) watch(t gateway.Timeouts, cancel context.CancelCauseFunc) *watch {
	w := &watch{cancel: cancel, length: cmp.Or(c.Idle, t.Idle, DefaultIdleTimeout)}
	w.first = time.AfterFunc(cmp.Or(c.FirstToken, t.FirstToken, DefaultFirstTokenTimeout), func() { cancel(errFirstToken) })
	if total := cmp.Or(c.Total, t.Total); total > 0 {
		w.total = time.AfterFunc(total, func() { cancel(errTotal) })
	}
	return w
}

// wait begins, or begins anew, the wait for what comes after the first sign of an answer.
func (w *watch) wait() {
	if w.idle != nil {
		w.idle.Reset(w.length)
		return
	}
	w.first.Stop()
	w.idle = time.AfterFunc(w.length, func() { w.cancel(errIdle) })
}

// pause ends the wait.
func (w *watch) pause() {
	w.first.Stop()
	if w.idle != nil {
		w.idle.Stop()
	}
}

func (w *watch) end() {
	w.pause()
	if w.total != nil {
		w.total.Stop()
	}
	w.cancel(nil)
}
