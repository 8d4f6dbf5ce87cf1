package exchange

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
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
// while the client is written to. Its methods are for one goroutine.
type watch struct {
	silence *time.Timer // until the first sign of an answer, then between two of them
	running bool        // silence is set
	begun   atomic.Bool // the first sign has come
	idle    time.Duration
	total   *time.Timer // nil where there is no such bound
	cancel  context.CancelCauseFunc
	detach  func() bool // has the exchange outlive its client; nil where it cannot
}

// watch begins to watch over an attempt of a client, and returns the exchange's own context.
func (c *Client) watch(client context.Context, attempt *gateway.Attempt) (context.Context, *watch) {
	parent := client
	if attempt.Stream {
		parent = context.WithoutCancel(client)
	}
	ctx, cancel := context.WithCancelCause(parent)
	t := &attempt.Timeouts
	w := &watch{cancel: cancel, idle: cmp.Or(c.Idle, t.Idle, DefaultIdleTimeout), running: true}
	if attempt.Stream {
		w.detach = context.AfterFunc(client, func() { cancel(client.Err()) })
	}
	w.silence = time.AfterFunc(cmp.Or(c.FirstToken, t.FirstToken, DefaultFirstTokenTimeout), w.expire)
	if total := cmp.Or(c.Total, t.Total); total > 0 {
		w.total = time.AfterFunc(total, func() { cancel(errTotal) })
	}
	return ctx, w
}

// expire ends a silence that was too long.
func (w *watch) expire() {
	if w.begun.Load() {
		w.cancel(errIdle)
	} else {
		w.cancel(errFirstToken)
	}
}

// wait begins, or begins anew, the wait for what comes after the first sign of an answer.
func (w *watch) wait() {
	if !w.begun.Load() {
		if w.running && !w.silence.Stop() {
			return // the answer began too late: that is why the exchange ends
		}
		w.begun.Store(true)
	}
	w.running = true
	w.silence.Reset(w.idle)
}

// pause ends the wait.
func (w *watch) pause() {
	if w.running {
		w.running = false
		w.silence.Stop()
	}
}

// linger gives the provider a last while, also where the client leaves. It is false where the exchange is over.
func (w *watch) linger(d time.Duration) bool {
	if w.detach == nil || !w.detach() {
		return false
	}
	w.idle = d
	w.wait()
	return true
}

// end ends the exchange.
func (w *watch) end() {
	w.pause()
	if w.detach != nil {
		w.detach()
	}
	if w.total != nil {
		w.total.Stop()
	}
	w.cancel(nil)
}
