package main

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
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

// arrivals are the calls that a provider has had, by their numbers.
type arrivals struct {
	mu sync.Mutex
	at map[int]time.Time
}

var callNumber = regexp.MustCompile(`call (\d+)\.`)

// upstream is a provider that notes when it has a call.
func (a *arrivals) upstream(t *testing.T) *upstream {
	a.at = make(map[int]time.Time)
	return newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		now := time.Now()
		n, err := strconv.Atoi(callNumber.FindStringSubmatch(body)[1])
		if err != nil {
			t.Error(err)
		}
		a.mu.Lock()
		a.at[n] = now
		a.mu.Unlock()
		answerWhole(w, answerText("x"))
	})
}

// hold checks that a limit held over calls whose numbers begin with first, and that little of it was left unused. When Redis decided on
// a call, nobody outside knows: it was after the client sent it, and before the provider had it.
func (a *arrivals) hold(t *testing.T, calls []attempt, first, limit int, window time.Duration) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var admitted []span
	var sent []time.Time
	var unsure time.Duration
	for _, c := range calls {
		sent = append(sent, c.sent)
		at, reached := a.at[first+c.number]
		switch {
		case c.err != nil || c.status != 200 && c.status != 429 || reached != (c.status == 200):
			t.Fatalf("a call got %d, %v; reached the provider: %t", c.status, c.err, reached)
		case reached:
			admitted = append(admitted, span{c.sent, at})
			unsure += at.Sub(c.sent)
		}
	}
	most, could := mostWithin(admitted, window), exactly(sent, limit, window)
	t.Logf("limit %d in %s: %d calls in %s, %d admitted of %d that an exact limiter admits (%.2f%%); at most %d surely in one window; time known to %s on average",
		limit, window, len(calls), calls[len(calls)-1].sent.Sub(calls[0].sent).Round(time.Millisecond), len(admitted), could, 100*float64(len(admitted))/float64(could), most,
		(unsure / time.Duration(len(admitted))).Round(10*time.Microsecond))
	if most > limit {
		t.Errorf("%d calls were admitted in a window of %s, and the limit is %d", most, window, limit)
	}
	if 100*len(admitted) < 99*could {
		t.Errorf("%d calls were admitted where an exact limiter admits %d", len(admitted), could)
	}
	if len(calls) < 3*len(admitted) {
		t.Errorf("%d calls are too few to try a limiter that admits %d", len(calls), len(admitted))
	}
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
