package exchange

import (
	"context"
	"errors"
	"time"
)

var (
	errFirstToken = errors.New("did not begin to answer in time")
	errIdle       = errors.New("fell silent in the middle of its answer")
)

// watch ends an exchange in which the provider stays silent for too long. It does not run while the client is written to.
type watch struct {
	first  *time.Timer // until the first event
	idle   *time.Timer // between events; nil before the first
	length time.Duration
	cancel context.CancelCauseFunc
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
	w.cancel(nil)
}
