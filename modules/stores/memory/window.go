package memory

import (
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// tally is what one window has counted. Times are those of the shard and never go backwards, and expire is called
// with the present before anything else is asked.
type tally interface {
	// expire forgets what has left the window.
	expire(now time.Duration)
	// used is how many units are in the window.
	used() int64
	// add counts units now.
	add(now time.Duration, units int64)
	// takeBack undoes units that were added at a given time, as far as they still count.
	takeBack(at time.Duration, units int64)
	// freeAt is when time alone will have brought the units in use down to the given number, which is less
	// than what is used now; zero where that does not depend on time.
	freeAt(most int64) time.Duration
}

// window is what counts together: one subject, one kind, one length.
type window struct {
	kind   gateway.LimitKind
	length time.Duration
	since  time.Duration // when it was made: what was granted earlier is not in it
	tally  tally
}

func newWindow(limit gateway.Limit, now time.Duration) *window {
	w := &window{kind: limit.Kind, length: limit.Window, since: now}
	switch {
	case limit.Kind == gateway.LimitConcurrency:
		w.tally = new(slots)
	case limit.Kind == gateway.LimitRequests && limit.N <= maxStamps:
		w.tally = &stamps{length: limit.Window}
	default:
		w.tally = newBuckets(limit.Window)
	}
	return w
}

// suit changes the way of counting to the one that N asks for, when that has changed and a call is about to be
// granted: so there are at most N units to carry over. Nothing that was counted leaves the window sooner
// than it would have.
func (w *window) suit(n int64, now time.Duration) {
	if w.kind != gateway.LimitRequests {
		return
	}
	switch t := w.tally.(type) {
	case *stamps:
		if n > maxStamps {
			w.tally = t.buckets()
		}
	case *buckets:
		if n <= maxStamps {
			w.tally = t.stamps(now)
		}
	}
}

// report writes into a claim how the window stands; a nil window is an empty one.
func (w *window) report(claim *gateway.Claim, clock time.Duration) {
	n := max(claim.Limit.N, 0)
	claim.Remaining = n
	claim.Reset = 0
	if w == nil {
		return
	}
	used := w.tally.used()
	claim.Remaining = max(n-used, 0)
	if used > 0 {
		// Above N, units come back that do not show in Remaining yet.
		claim.Reset = until(w.tally.freeAt(max(min(used, n)-1, 0)), clock)
	}
}

// until is the wait from the clock's time, which may lag behind the shard's, to what freeAt said.
func until(at, clock time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return max(at-clock, 0)
}
