package main

import (
	"slices"
	"testing"
	"time"
)

// span is when something happened, as far as an onlooker knows: at the earliest and at the latest.
type span struct{ earliest, latest time.Time }

// mostWithin is how many of the things surely happened within some window of a length: the largest number of spans that lie within
// one as a whole. Where that is more than a limit allows, the limit was passed, whatever the true times were.
func mostWithin(spans []span, window time.Duration) (most int) {
	byEnd := slices.SortedFunc(slices.Values(spans), func(a, b span) int { return a.latest.Compare(b.latest) })
	for _, first := range spans {
		n := 0
		for _, s := range byEnd {
			if s.latest.Sub(first.earliest) >= window {
				break
			}
			if !s.earliest.Before(first.earliest) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// exactly is how many of the calls that arrive at given times, in order, are admitted by a limiter that errs on neither side.
func exactly(arrivals []time.Time, limit int, window time.Duration) (admitted int) {
	var times []time.Time
	for _, at := range arrivals {
		if len(times) < limit || at.Sub(times[len(times)-limit]) >= window {
			times = append(times, at)
		}
	}
	return len(times)
}

func TestFleetOracleCountsWhatIsSurelyWithinAWindow(t *testing.T) {
	start := time.Now()
	at := func(from, to int) span {
		return span{start.Add(time.Duration(from) * time.Millisecond), start.Add(time.Duration(to) * time.Millisecond)}
	}
	for name, c := range map[string]struct {
		spans []span
		want  int
	}{
		"none":                        {nil, 0},
		"both inside":                 {[]span{at(0, 10), at(80, 99)}, 2},
		"a window apart":              {[]span{at(0, 0), at(100, 100)}, 1},
		"the last may be outside":     {[]span{at(0, 10), at(90, 100)}, 1},
		"the first may be outside":    {[]span{at(0, 50), at(60, 120)}, 1},
		"a window that begins later":  {[]span{at(0, 1), at(50, 51), at(60, 61), at(140, 141)}, 3},
		"one that nobody knows about": {[]span{at(0, 500), at(100, 101), at(150, 151)}, 2},
	} {
		if got := mostWithin(c.spans, 100*time.Millisecond); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestFleetOracleAdmitsAsAnExactLimiterDoes(t *testing.T) {
	start := time.Now()
	var arrivals []time.Time
	for ms := range 250 { // two in each window of 100ms: at 0, 1, 100, 101, 200 and 201
		arrivals = append(arrivals, start.Add(time.Duration(ms)*time.Millisecond))
	}
	if got := exactly(arrivals, 2, 100*time.Millisecond); got != 6 {
		t.Errorf("%d, want 6", got)
	}
}
