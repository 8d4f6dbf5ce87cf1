package proxy

import (
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// tryInterval is how long a target that failed is left alone at least before it is asked again, as with reverse_proxy.
const tryInterval = 250 * time.Millisecond

// course is the way of one call past its targets: who is asked next, and when no one is any more. It has no clock; each step is
// told the time.
//
// Each target is asked once, in order. Where retries or tryFor is set, those that may do better are asked again.
type course struct {
	order   []gateway.Target
	retries int           // attempts behind the first one, at most; 0 where the targets' number is the bound
	tryFor  time.Duration // no attempt begins later than this after the first; 0 where there is no such bound

	began    time.Time
	asked    int // attempts begun
	unasked  int // the first target of the order that was not reached yet
	again    []waiting
	failures []*dialect.Error
	gap      *dialect.Error // why a target was passed over
	end      error          // a failure that nobody else mends
}

// waiting is a target that may be asked again from some time on.
type waiting struct {
	target int
	from   time.Time
}

// next gives the target to ask now, or in a while. It is false where nobody is left.
func (c *course) next(now time.Time) (target int, wait time.Duration, ok bool) {
	if c.asked == 0 {
		c.began = now
	}
	switch {
	case c.end != nil,
		c.retries > 0 && c.asked > c.retries,
		c.tryFor > 0 && c.asked > 0 && now.Sub(c.began) >= c.tryFor:
		return 0, 0, false
	case c.unasked < len(c.order):
		c.unasked++
		return c.unasked - 1, 0, true
	case c.retries == 0 && c.tryFor == 0, len(c.again) == 0:
		return 0, 0, false
	}
	soonest := 0
	for i, w := range c.again {
		if w.from.Before(c.again[soonest].from) {
			soonest = i
		}
	}
	w := c.again[soonest]
	if wait = max(0, w.from.Sub(now)); c.tryFor > 0 && now.Add(wait).Sub(c.began) >= c.tryFor {
		return 0, 0, false
	}
	c.again = append(c.again[:soonest], c.again[soonest+1:]...)
	return w.target, wait, true
}

// pass notes that a target cannot be asked: its dialect has not what the call says. Another target's may.
func (c *course) pass(gap *dialect.Error) { c.gap = gap }

// ask notes that an attempt begins.
func (c *course) ask() { c.asked++ }

// fail notes how an attempt ended.
func (c *course) fail(target int, err error, now time.Time) {
	v, e := judge(err)
	if v == final {
		c.end = err
		return
	}
	c.failures = append(c.failures, e)
	if v == elsewhere || e.RetryAfter > 0 && c.tryFor == 0 { // nobody said how long a call may wait for what the provider asks for
		return
	}
	c.again = append(c.again, waiting{target, now.Add(max(tryInterval, e.RetryAfter))})
}

// failure is what the client is told where nobody has answered.
func (c *course) failure() error {
	switch {
	case c.end != nil:
		return c.end
	case len(c.failures) > 0:
		return telling(c.failures)
	case c.gap != nil:
		return c.gap
	}
	return dialect.Errorf(dialect.Unavailable, "there is nobody to ask")
}
