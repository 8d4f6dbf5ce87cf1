package memory

import (
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// oracle is the limiter as one would write it with all the memory and time in the world: every unit that was ever
// charged stays in a list, and every question walks it.
type oracle struct {
	events map[oracleWindow][]event
	last   time.Duration // the time that the limiter was told before the clock was put back
	calls  int
}

type oracleWindow struct {
	subject string
	kind    gateway.LimitKind
	length  time.Duration
}

type event struct {
	at    time.Duration
	units int64
	call  int
}

func windowOf(c gateway.Claim) oracleWindow {
	return oracleWindow{c.Subject, c.Limit.Kind, c.Limit.Window}
}

// used is how many units are in a window; stretch makes the window longer.
func (o *oracle) used(w oracleWindow, now, stretch time.Duration) (total int64) {
	for _, e := range o.events[w] {
		if w.kind == gateway.LimitConcurrency || e.at > now-w.length-stretch {
			total += e.units
		}
	}
	return total
}

// reservation is what a call takes from a window and the smallest N it has for it.
func (o *oracle) reservation(claims []gateway.Claim, w oracleWindow) int64 {
	cost, n := int64(1), int64(1)<<62
	for _, c := range claims {
		if windowOf(c) == w {
			cost, n = max(cost, c.Cost), min(n, c.Limit.N)
		}
	}
	return min(cost, n)
}

// freeAt is the first moment from which at most so many units are in use.
func (o *oracle) freeAt(w oracleWindow, now time.Duration, most int64) time.Duration {
	first := time.Duration(-1)
	for _, e := range o.events[w] {
		at := e.at + w.length
		if at > now && (first < 0 || at < first) && o.used(w, at, 0) <= most {
			first = at
		}
	}
	return first
}

// admit charges an admitted call and returns its number.
func (o *oracle) admit(claims []gateway.Claim, now time.Duration) int {
	o.calls++
	charged := make(map[oracleWindow]bool)
	for _, c := range claims {
		if w := windowOf(c); !charged[w] {
			charged[w] = true
			o.events[w] = append(o.events[w], event{now, o.reservation(claims, w), o.calls})
		}
	}
	return o.calls
}

// settle corrects tokens to what was used, as the first claim on each window says, and ends the call.
func (o *oracle) settle(call int, claims []gateway.Claim, now time.Duration) {
	settled := make(map[oracleWindow]bool)
	for _, c := range claims {
		w := windowOf(c)
		if settled[w] {
			continue
		}
		settled[w] = true
		switch reserved := o.reservation(claims, w); {
		case w.kind == gateway.LimitConcurrency:
			o.correct(w, call, 0)
		case w.kind == gateway.LimitTokens && c.Actual <= reserved:
			o.correct(w, call, c.Actual)
		case w.kind == gateway.LimitTokens:
			o.events[w] = append(o.events[w], event{now, c.Actual - reserved, 0})
		}
	}
}

// cancel takes back what is still in its window. The rest is gone in any case, and a limiter that keeps it in a
// longer window need not know it any more.
func (o *oracle) cancel(call int, claims []gateway.Claim, now time.Duration) {
	for _, c := range claims {
		w := windowOf(c)
		for i := range o.events[w] {
			e := &o.events[w][i]
			if e.call == call && (w.kind == gateway.LimitConcurrency || e.at > now-w.length) {
				e.units = 0
			}
		}
	}
}

func (o *oracle) correct(w oracleWindow, call int, units int64) {
	for i := range o.events[w] {
		if e := &o.events[w][i]; e.call == call {
			e.units = units
		}
	}
}

func (o *oracle) forget(prefix string) {
	for w := range o.events {
		if w.kind != gateway.LimitConcurrency && strings.HasPrefix(w.subject, prefix) {
			delete(o.events, w)
		}
	}
}
