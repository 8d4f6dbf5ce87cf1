package storetest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func takesBack(l *limiterTest) {
	l.admitted(requests("key:a", 3), tokens("key:a", 100, 30), concurrency("key:a", 2))
	second := l.admitted(requests("key:a", 3), tokens("key:a", 100, 30), concurrency("key:a", 2))
	l.advance(time.Minute)
	l.limiter.Cancel(l.Context(), second)
	third := l.admitted(requests("key:a", 3), tokens("key:a", 100, 30), concurrency("key:a", 2))
	l.remaining(1, third[0])
	l.remaining(40, third[1])
	l.remaining(0, third[2])
}

func returnsTokens(l *limiterTest) {
	call := l.admitted(tokens("key:a", 1000, 800))
	l.refused(0, tokens("key:a", 1000, 300))
	l.advance(30 * time.Minute)
	call[0].Actual = 100
	l.limiter.Settle(l.Context(), call)
	l.remaining(100, l.admitted(tokens("key:a", 1000, 800))[0])

	// What was used counts from when it was reserved, not from when that became known.
	l.advance(30*time.Minute + late)
	l.remaining(0, l.admitted(tokens("key:a", 1000, 200))[0])
}

func chargesExtraTokens(l *limiterTest) {
	call := l.admitted(tokens("key:a", 1000, 100))
	l.advance(30 * time.Minute)
	call[0].Actual = 1500
	l.limiter.Settle(l.Context(), call)
	got := l.refused(0, tokens("key:a", 1000, 1))[0]
	l.remaining(0, got)
	l.between("retry after", got.RetryAfter, window)

	// The reservation leaves first; what came on top is still more than all.
	l.advance(30*time.Minute + late)
	l.refused(0, tokens("key:a", 1000, 1))
	l.advance(30 * time.Minute)
	l.remaining(999, l.admitted(tokens("key:a", 1000, 1))[0])
}

func admitsOversized(l *limiterTest) {
	call := l.admitted(tokens("key:a", 1000, 50_000))
	l.remaining(0, call[0])
	call[0].Actual = 400
	l.limiter.Settle(l.Context(), call)
	got := l.refused(0, tokens("key:a", 1000, 50_000))[0]
	l.remaining(600, got)
	l.advance(got.RetryAfter)
	l.admitted(tokens("key:a", 1000, 50_000))
}

func givesSlotsBack(l *limiterTest) {
	first := l.admitted(concurrency("key:a", 2))
	second := l.admitted(concurrency("key:a", 2))
	l.advance(100 * window)
	if got := l.refused(0, concurrency("key:a", 2))[0]; got.RetryAfter != 0 {
		l.Errorf("retry after is %v, want 0 because nobody can know", got.RetryAfter)
	}
	l.limiter.Settle(l.Context(), first)
	l.admitted(concurrency("key:a", 2))
	l.refused(0, concurrency("key:a", 2))
	l.limiter.Cancel(l.Context(), second)
	l.remaining(0, l.admitted(concurrency("key:a", 2))[0])
}

func givesBackOnce(l *limiterTest) {
	first := l.admitted(concurrency("key:a", 2), tokens("key:a", 100, 10))
	l.admitted(concurrency("key:a", 2), tokens("key:a", 100, 10))
	for range 3 {
		l.limiter.Settle(l.Context(), first)
		l.limiter.Cancel(l.Context(), first)
	}
	got := l.admitted(concurrency("key:a", 2), tokens("key:a", 100, 10))
	l.remaining(0, got[0])
	l.remaining(80, got[1])

	// A refused call and one that was never asked for hold nothing.
	stale := concurrency("key:a", 2)
	stale.Mark = got[0].Mark
	l.limiter.Settle(l.Context(), l.refused(0, stale))
	l.limiter.Settle(l.Context(), []gateway.Claim{concurrency("key:a", 2)})
	l.refused(0, concurrency("key:a", 2))

	// A copy is taken for another call, but nothing is ever below zero.
	last := l.admitted(concurrency("key:b", 2))
	copies := [][]gateway.Claim{slices.Clone(last), slices.Clone(last), last}
	for _, claims := range copies {
		l.limiter.Settle(l.Context(), claims)
	}
	l.remaining(1, l.admitted(concurrency("key:b", 2))[0])
}

func refusesNonsense(l *limiterTest) {
	for _, limit := range []gateway.Limit{
		{Kind: gateway.LimitRequests, N: 1},
		{Kind: gateway.LimitTokens, N: 1, Window: -time.Second},
		{Kind: "wishes", N: 3, Window: window},
	} {
		claims := []gateway.Claim{requests("key:a", 1), {Subject: "key:a", Limit: limit, Cost: 1}}
		if _, err := l.limiter.Admit(l.Context(), claims); err == nil {
			l.Errorf("no error for %+v", limit)
		}
	}
	l.admitted(requests("key:a", 1))
}

func countsUnderContention(l *limiterTest) {
	const n = 100
	var admitted atomic.Int64
	together(1000, func(int) {
		claims := []gateway.Claim{requests("key:a", n), tokens("team:x", 10*n, 10), concurrency("all", 10*n)}
		denied, err := l.limiter.Admit(l.Context(), claims)
		if err != nil {
			l.Errorf("admitting: %v", err)
			return
		}
		if denied < 0 {
			admitted.Add(1)
			claims[1].Actual = 10
			l.limiter.Settle(l.Context(), claims)
		}
	})
	if got := admitted.Load(); got != n {
		l.Errorf("%d calls admitted, want %d", got, n)
	}
	l.remaining(10*n-1, l.admitted(concurrency("all", 10*n))[0])
	l.refused(0, tokens("team:x", 10*n, 1))
}

func doesNotDeadlock(l *limiterTest) {
	subjects := []string{"key:a", "key:b", "team:x", "team:y", "all"}
	together(100, func(i int) {
		for j := range 20 {
			var claims []gateway.Claim
			for k := range subjects {
				claims = append(claims, concurrency(subjects[(i+k*(j%4+1))%len(subjects)], 1000))
			}
			if denied, err := l.limiter.Admit(l.Context(), claims); denied >= 0 || err != nil {
				l.Errorf("denied %d, error %v", denied, err)
				return
			}
			l.limiter.Settle(l.Context(), claims)
		}
	})
	for _, subject := range subjects {
		l.remaining(999, l.admitted(concurrency(subject, 1000))[0])
	}
}

// together runs a function in many goroutines that begin at once.
func together(n int, run func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	all.Wait()
}
