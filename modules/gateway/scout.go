package gateway

import (
	"net/http"
	"slices"
	"sync/atomic"
)

// Scout is a handler behind the limits that can tell, before they are decided on, what a call will be looked up by. Where limits and
// answers are kept on another machine, one round trip then decides on the call and brings its answer; see [LookingLimiter].
//
// That changes nothing about who gets what: the decision still comes first, and a call that meets other handlers than those that
// were sent ahead just has its answer looked up again.
type Scout interface {
	// Scout does ahead what the handler begins with: it reads the call. It neither answers nor asks anybody, and what is wrong with the call
	// it leaves to be found again. It says whether a scout further on may go on.
	Scout(c *Call, r *http.Request) bool
}

// Ahead is what is known of a call before its limits are decided on.
type Ahead struct {
	// Key is what the call's answer is kept under, where Keyed.
	Key   AnswerKey
	Keyed bool
	// Answer is what the store has, where Looked; nil where that is nothing.
	Answer *Answer
	Looked bool

	met, sent trail
}

// trail is a short list of scouts, in the order of the route.
type trail struct {
	n      int
	scouts [4]Scout // more are not known of
}

func (t *trail) add(s Scout) {
	if t.n < len(t.scouts) {
		t.scouts[t.n] = s
		t.n++
	}
}

func (t *trail) has(s Scout) bool { return slices.Contains(t.scouts[:t.n], s) }

// Meet is what a scout says once a call has come to it. It reports whether the scout was sent ahead and has read the call.
func (c *Call) Meet(s Scout) (sent bool) {
	c.Ahead.met.add(s)
	return c.Ahead.sent.has(s)
}

// maxAhead is the largest body that is read before the limits are decided on, in bytes.
const maxAhead = 1 << 20

// Scouts are those that calls have met behind a handler. Handlers do not know what is behind them, which is the config's affair and
// may be different for each call; so what one call has met is what the next is expected to.
type Scouts struct{ last atomic.Pointer[trail] }

// Send sends them ahead of a call. It reports whether Ahead.Key is known then.
func (s *Scouts) Send(c *Call, r *http.Request) bool {
	last := s.last.Load()
	if last == nil || c.Surface.Operation == "" || r.ContentLength < 0 || r.ContentLength > maxAhead {
		return false
	}
	for _, scout := range last.scouts[:last.n] {
		if c.Ahead.sent.has(scout) {
			continue
		}
		if !scout.Scout(c, r) {
			return false
		}
		c.Ahead.sent.add(scout)
	}
	return c.Ahead.Keyed
}

// Learn takes note of whom a call has met.
func (s *Scouts) Learn(c *Call) {
	if c.Surface.Operation == "" {
		return
	}
	if last := s.last.Load(); last == nil || *last != c.Ahead.met {
		met := c.Ahead.met
		s.last.Store(&met)
	}
}
