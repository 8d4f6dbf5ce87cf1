package redis

import (
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// oracle is the limiter as one would write it with all the memory and time in the world: every charge stays in a list.
type oracle struct {
	charges map[identity][]charge
	last    map[identity]time.Duration // when a window was charged last: it never goes back behind that
	times   map[chargeOf]time.Duration
	calls   int
}

type chargeOf struct {
	window identity
	call   int
}

type charge struct {
	at    time.Duration
	units int64
	call  int
	// void is how many of the units were given back when they had left their window already. Whether they still count shows only
	// where the clock goes back then, and is not settled.
	void int64
}

func newOracle() *oracle {
	return &oracle{charges: make(map[identity][]charge), last: make(map[identity]time.Duration), times: make(map[chargeOf]time.Duration)}
}

// now is the time as a window sees it.
func (o *oracle) now(w identity, clock time.Duration) time.Duration {
	if w.kind == gateway.LimitConcurrency {
		return clock
	}
	return max(clock, o.last[w])
}

// used is how many units are in a window that is stretched by so much.
func (o *oracle) used(w identity, now, stretch time.Duration) (total int64) {
	for _, c := range o.charges[w] {
		if w.kind == gateway.LimitConcurrency || c.at > now-w.length-stretch {
			total += c.units
		}
	}
	return total
}

// surely is used without what is void.
func (o *oracle) surely(w identity, now time.Duration) int64 {
	total := o.used(w, now, 0)
	for _, c := range o.charges[w] {
		if c.at > now-w.length {
			total -= c.void
		}
	}
	return total
}

// reservation is what a call takes from a window.
func reservation(claims []gateway.Claim, w identity) int64 {
	cost, n := int64(1), int64(maxUnits)
	for i := range claims {
		if keyed(&claims[i]) == w {
			cost, n = max(cost, claims[i].Cost), min(n, claims[i].Limit.N)
		}
	}
	return min(cost, n)
}

// freeAt is the first moment from which at most so many units are in use.
func (o *oracle) freeAt(w identity, now time.Duration, most int64) time.Duration {
	first := time.Duration(-1)
	for _, c := range o.charges[w] {
		if at := c.at + w.length; at > now && (first < 0 || at < first) && o.used(w, at, 0) <= most {
			first = at
		}
	}
	return first
}

// each calls a function with each window once, and with the first claim on it.
func each(claims []gateway.Claim, visit func(identity, *gateway.Claim)) {
	for i := range claims {
		if !repeated(claims, i, keyed) {
			visit(keyed(&claims[i]), &claims[i])
		}
	}
}

func (o *oracle) admit(claims []gateway.Claim, clock time.Duration) int {
	o.calls++
	each(claims, func(w identity, _ *gateway.Claim) {
		now := o.now(w, clock)
		o.last[w], o.times[chargeOf{w, o.calls}] = now, now
		o.charges[w] = append(o.charges[w], charge{at: now, units: reservation(claims, w), call: o.calls})
	})
	return o.calls
}

// find is a call's charge; nil where the window was reset since.
func (o *oracle) find(w identity, call int) *charge {
	for i := range o.charges[w] {
		if o.charges[w][i].call == call {
			return &o.charges[w][i]
		}
	}
	return nil
}

func (o *oracle) settle(call int, claims []gateway.Claim, clock time.Duration) {
	each(claims, func(w identity, c *gateway.Claim) {
		charged, reserved, now := o.find(w, call), reservation(claims, w), o.now(w, clock)
		switch {
		case w.kind == gateway.LimitConcurrency:
			charged.units = 0
		case w.kind != gateway.LimitTokens:
		case c.Actual > reserved:
			// What a call took from a window that was reset is forgotten, and so is what it used beyond that.
			if charged != nil || o.times[chargeOf{w, call}]+w.length <= now {
				o.last[w] = now
				o.charges[w] = append(o.charges[w], charge{at: now, units: c.Actual - reserved})
			}
		case charged == nil:
		case charged.at > now-w.length:
			charged.units = c.Actual
		default:
			charged.void = charged.units - c.Actual
		}
	})
}

func (o *oracle) cancel(call int, claims []gateway.Claim, clock time.Duration) {
	each(claims, func(w identity, _ *gateway.Claim) {
		switch charged := o.find(w, call); {
		case charged == nil:
		case w.kind == gateway.LimitConcurrency || charged.at > o.now(w, clock)-w.length:
			charged.units = 0
		default:
			charged.void = charged.units
		}
	})
}

// reset forgets what is in the windows whose keys are deleted. Calls in progress have their slots again with the next renewal.
func (o *oracle) reset() {
	for w := range o.charges {
		if w.kind != gateway.LimitConcurrency {
			delete(o.charges, w)
			delete(o.last, w)
		}
	}
}
