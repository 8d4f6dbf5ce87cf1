package proxy

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// step is an attempt that fails.
type step struct {
	after time.Duration // how long it takes
	err   *dialect.Error
}

// walk follows a course whose attempts all fail, and tells who was asked and when, from the first attempt on.
func walk(c *course, steps func(n int) step) (asked []int, at []time.Duration) {
	began := time.Unix(1, 0)
	now := began
	for {
		i, wait, ok := c.next(now)
		if !ok {
			return asked, at
		}
		now = now.Add(wait)
		c.ask()
		asked, at = append(asked, i), append(at, now.Sub(began))
		s := steps(len(asked) - 1)
		now = now.Add(s.after)
		c.fail(i, s.err, now)
	}
}

func TestWhoIsAskedNextAndWhen(t *testing.T) {
	const ms = time.Millisecond
	busy := &dialect.Error{Kind: dialect.Unavailable, Retryable: true}
	auth := &dialect.Error{Kind: dialect.UpstreamAuth}
	wrong := &dialect.Error{Kind: dialect.InvalidRequest}
	limited := &dialect.Error{Kind: dialect.RateLimit, Retryable: true, RetryAfter: 2 * time.Second}
	spent := &dialect.Error{Kind: dialect.RateLimit}
	for _, tt := range []struct {
		name    string
		targets int
		retries int
		tryFor  time.Duration
		steps   []*dialect.Error // the last one repeats
		asked   []int
		at      []time.Duration
	}{
		{"each once", 3, 0, 0, []*dialect.Error{busy}, []int{0, 1, 2}, []time.Duration{0, 0, 0}},
		{"until one is final", 3, 0, 0, []*dialect.Error{busy, wrong}, []int{0, 1}, []time.Duration{0, 0}},
		{"fewer than there are", 3, 1, 0, []*dialect.Error{busy}, []int{0, 1}, []time.Duration{0, 0}},
		{"more than there are", 2, 4, 0, []*dialect.Error{busy}, []int{0, 1, 0, 1, 0}, []time.Duration{0, 0, 250 * ms, 250 * ms, 500 * ms}},
		{"one alone", 1, 2, 0, []*dialect.Error{busy}, []int{0, 0, 0}, []time.Duration{0, 250 * ms, 500 * ms}},
		{"not one whose credential is bad", 2, 3, 0, []*dialect.Error{auth, busy}, []int{0, 1, 1, 1}, []time.Duration{0, 0, 250 * ms, 500 * ms}},
		{"not one without money", 1, 3, 0, []*dialect.Error{spent}, []int{0}, []time.Duration{0}},
		{"for a while", 1, 0, time.Second, []*dialect.Error{busy}, []int{0, 0, 0, 0}, []time.Duration{0, 250 * ms, 500 * ms, 750 * ms}},
		{"for a while, but not too often", 1, 2, time.Second, []*dialect.Error{busy}, []int{0, 0, 0}, []time.Duration{0, 250 * ms, 500 * ms}},
		{"after the wait that it asks for", 1, 1, 5 * time.Second, []*dialect.Error{limited}, []int{0, 0}, []time.Duration{0, 2 * time.Second}},
		{"not where the wait is too long", 1, 1, time.Second, []*dialect.Error{limited}, []int{0}, []time.Duration{0}},
		{"not where nobody says how long a wait may be", 1, 3, 0, []*dialect.Error{limited}, []int{0}, []time.Duration{0}},
		{"the one that is ready first", 2, 3, 5 * time.Second, []*dialect.Error{limited, busy}, []int{0, 1, 1, 1}, []time.Duration{0, 0, 250 * ms, 500 * ms}},
	} {
		c := &course{order: targets(slices.Repeat([]int{1}, tt.targets)...), retries: tt.retries, tryFor: tt.tryFor}
		asked, at := walk(c, func(n int) step { return step{0, tt.steps[min(n, len(tt.steps)-1)]} })
		if !slices.Equal(asked, tt.asked) || !slices.Equal(at, tt.at) {
			t.Errorf("%s: asked are %v at %v, want %v at %v", tt.name, asked, at, tt.asked, tt.at)
		}
	}
}

func TestACourseKeepsItsBounds(t *testing.T) {
	failures := []*dialect.Error{
		{Kind: dialect.Unavailable, Retryable: true}, {Kind: dialect.Unavailable, Retryable: true, RetryAfter: 3 * time.Second},
		{Kind: dialect.UpstreamAuth}, {Kind: dialect.Timeout}, {Kind: dialect.InvalidRequest},
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "targets")
		c := &course{
			order:   targets(slices.Repeat([]int{1}, n)...),
			retries: rapid.IntRange(0, 8).Draw(t, "retries"),
			tryFor:  time.Duration(rapid.IntRange(0, 20).Draw(t, "tryFor")) * time.Second / 2,
		}
		var happened []step
		asked, at := walk(c, func(int) step {
			s := step{time.Duration(rapid.IntRange(0, 2000).Draw(t, "took")) * time.Millisecond, rapid.SampledFrom(failures).Draw(t, "failure")}
			happened = append(happened, s)
			return s
		})
		if c.retries > 0 && len(asked) > c.retries+1 {
			t.Fatalf("%d are asked with %d retries", len(asked), c.retries)
		}
		if c.retries == 0 && c.tryFor == 0 && len(asked) > n {
			t.Fatalf("%d are asked of %d targets", len(asked), n)
		}
		for i, target := range asked {
			if c.tryFor > 0 && i > 0 && at[i] >= c.tryFor {
				t.Fatalf("one is asked after %s of %s", at[i], c.tryFor)
			}
			if i < n && target != i {
				t.Fatalf("asked are %v", asked)
			}
			// What a target said last holds for it.
			for j := i - 1; j >= 0; j-- {
				if asked[j] != target {
					continue
				}
				failed := at[j] + happened[j].after
				if v, _ := judge(happened[j].err); v != anywhere || at[i] < failed+max(tryInterval, happened[j].err.RetryAfter) {
					t.Fatalf("target %d is asked at %s after %v at %s", target, at[i], happened[j].err, failed)
				}
				break
			}
			if i > 0 && happened[i-1].err.Kind == dialect.InvalidRequest {
				t.Fatalf("one is asked after the call was found wrong")
			}
		}
		if c.failure() == nil {
			t.Fatal("nobody has answered, and there is no failure")
		}
	})
}

func TestWhatIsToldWhereNobodyWasAsked(t *testing.T) {
	gap := dialect.Errorf(dialect.InvalidRequest, "seed")
	c := &course{order: targets(1)}
	c.next(time.Time{})
	c.pass(gap)
	if _, _, ok := c.next(time.Time{}); ok || c.failure() != error(gap) {
		t.Errorf("it is %v", c.failure())
	}
	var e *dialect.Error
	if err := new(course).failure(); !errors.As(err, &e) || e.Kind != dialect.Unavailable {
		t.Errorf("without targets it is %v", err)
	}
}
