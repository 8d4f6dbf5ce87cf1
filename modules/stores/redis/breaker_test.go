package redis

import (
	"testing"
	"time"
)

// history tells a breaker of outcomes, one every millisecond: s for success, f for failure, h for one that
// hung, u for unknown.
func history(b *breaker, now *time.Time, outcomes string) {
	for _, o := range outcomes {
		*now = now.Add(time.Millisecond)
		b.report(*now, false, map[rune]outcome{'s': succeeded, 'f': failed, 'h': hung, 'u': unknown}[o])
	}
}

func TestTheBreakerOpensWhenRedisFailsTooOften(t *testing.T) {
	for _, test := range []struct {
		name, outcomes string
		closed         bool
	}{
		{"nothing has happened", "", true},
		{"four failures in a row", "ffff", true},
		{"five failures in a row", "fffff", false},
		{"failures with a success between them", "ffffsffff", true},
		{"failures with a caller who left between them", "fffufuf", false},
		{"half of twenty", "sfsfsfsfsfsfsfsfsfsf", false},
		{"half of nineteen", "sfsfsfsfsfsfsfsfsfs", true},
		{"one that hung for longer than all others have failed", "sfffuh", false},
		{"one that hung while others succeeded", "suuuuuuuuuuusuuuh", true},
		{"one that hung before any has succeeded", "uuuuuuuuuuuuuh", true},
		{"a third of many", "sfssfssfssfssfssfssfssfssfssfssfssfs", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, now := newBreaker(10*time.Millisecond), time.Unix(0, 0)
			history(b, &now, test.outcomes)
			if b.closed() != test.closed {
				t.Errorf("closed is %v, want %v", b.closed(), test.closed)
			}
		})
	}
}

func TestTheBreakerForgetsFailuresOfTheSecondBefore(t *testing.T) {
	b, now := newBreaker(10*time.Millisecond), time.Unix(0, 0)
	history(b, &now, "sfsfsfsfsfsfsfsfsf")
	now = now.Add(time.Second)
	history(b, &now, "sfsfsfsfsf")
	if !b.closed() {
		t.Error("the breaker is open")
	}
}

func TestTheBreakerClosesAfterSuccessesInARowThatFollowASignOfLife(t *testing.T) {
	b, now := newBreaker(10*time.Millisecond), time.Unix(0, 0)
	history(b, &now, "fffff")
	expect := func(trial, allowed bool) {
		t.Helper()
		if gotTrial, got := b.allow(); got != allowed || gotTrial != trial {
			t.Fatalf("trial %v, allowed %v; want %v, %v", gotTrial, got, trial, allowed)
		}
	}
	expect(false, false)
	history(b, &now, "ssss") // stragglers from before
	expect(false, false)

	b.revive()
	expect(true, true)
	expect(false, false) // one at a time
	if b.report(now, true, unknown) {
		t.Error("an outcome that says nothing has changed something")
	}
	expect(true, true)
	if b.report(now, true, succeeded) {
		t.Error("one success has closed the breaker")
	}
	expect(true, true)
	if b.report(now, true, failed) {
		t.Error("a failed trial has been told as a change")
	}
	expect(false, false)

	b.revive()
	for i := range closeAfter {
		expect(true, true)
		if closed := b.report(now, true, succeeded); closed != (i == closeAfter-1) {
			t.Errorf("closed is %v after %d successes", closed, i+1)
		}
	}
	expect(false, true)
	history(b, &now, "ffff")
	expect(false, true) // it begins to count anew
}

func TestAClosedBreakerIsNotRevived(t *testing.T) {
	b := newBreaker(10 * time.Millisecond)
	b.revive()
	if trial, allowed := b.allow(); trial || !allowed {
		t.Errorf("trial %v, allowed %v", trial, allowed)
	}
}

func BenchmarkBreaker(b *testing.B) {
	breaker := newBreaker(10 * time.Millisecond)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		trial, _ := breaker.allow()
		breaker.report(now, trial, succeeded)
	}
}
