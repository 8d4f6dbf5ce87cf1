package redis

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

// fakeClock stands still unless it is told otherwise.
type fakeClock struct{ elapsed atomic.Int64 }

func (c *fakeClock) Elapsed() time.Duration  { return time.Duration(c.elapsed.Load()) }
func (c *fakeClock) Advance(d time.Duration) { c.elapsed.Add(int64(d)) }

// withClock makes a limiter whose scripts are told the time, and a way to let it pass: calls in progress are renewed on the way.
func withClock(t testing.TB, l *Limiter, clock *fakeClock) func(time.Duration) {
	l.clock, l.faked = clock.Elapsed, true
	return func(d time.Duration) {
		for d > 0 {
			step := min(d, slotTTL-time.Second)
			if len(l.held()) == 0 {
				step = d
			}
			clock.Advance(step)
			l.renew(t.Context())
			d -= step
		}
		clock.Advance(d) // back, where it is below zero
	}
}

// openLimiter makes a limiter that leaves no signs of life, which would be counted with what a test counts.
func openLimiter(t testing.TB, client *Client, policy Policy, shadow gateway.Limiter) *Limiter {
	l := newLimiter(client, policy, shadow)
	l.fleet.joining.Do(func() {})
	t.Cleanup(l.Close)
	return l
}

// settled has Redis know of a settlement before it returns, for tests that look at what is left.
type settled struct{ *Limiter }

func (l settled) Settle(ctx context.Context, claims []gateway.Claim) {
	l.Limiter.Settle(ctx, claims)
	l.settler.flush()
}

func (l settled) Cancel(ctx context.Context, claims []gateway.Claim) {
	l.Limiter.Cancel(ctx, claims)
	l.settler.flush()
}

func TestLimiterBehavesAsALimiter(t *testing.T) {
	s := startServer(t)
	storetest.Limiter(t, func(t *testing.T) (gateway.Limiter, func(time.Duration)) {
		s.do("FLUSHALL")
		l := openLimiter(t, s.patient(), Deny, nil)
		return settled{l}, withClock(t, l, new(fakeClock))
	})
}
