package memory

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func benchmarkClaims(requests, tokens string) []gateway.Claim {
	claims := []gateway.Claim{
		claim(requests, gateway.LimitRequests, 1_000_000_000, time.Hour, 1),
		claim(tokens, gateway.LimitTokens, math.MaxInt64, time.Hour, 1000),
	}
	claims[1].Actual = 300
	return claims
}

func call(b *testing.B, l *Limiter, claims []gateway.Claim) {
	if denied, err := l.Admit(b.Context(), claims); denied >= 0 || err != nil {
		b.Fatalf("denied %d, error %v", denied, err)
	}
	l.Settle(b.Context(), claims)
}

func BenchmarkAdmitAndSettleTwoClaims(b *testing.B) {
	for _, bench := range []struct{ name, requests, tokens string }{
		{"of one subject", "key:0123456789abcdef", "key:0123456789abcdef"},
		{"of two subjects", "key:0123456789abcdef", "team:0123456789abcdef"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			l := NewLimiter()
			claims := benchmarkClaims(bench.requests, bench.tokens)
			b.ReportAllocs()
			for b.Loop() {
				call(b, l, claims)
			}
		})
	}
}

// The exact window turns over all the time: each call pushes an old one out.
func BenchmarkAdmitExactWindow(b *testing.B) {
	clock := new(fakeClock)
	l := NewLimiter(WithClock(clock.Elapsed))
	claims := []gateway.Claim{
		claim("key:0123456789abcdef", gateway.LimitRequests, maxStamps, maxStamps, 1),
		claim("key:0123456789abcdef", gateway.LimitConcurrency, 10, 0, 1),
	}
	b.ReportAllocs()
	for b.Loop() {
		clock.Advance(1)
		call(b, l, claims)
	}
}

func BenchmarkRefuse(b *testing.B) {
	l := NewLimiter()
	claims := []gateway.Claim{claim("key:0123456789abcdef", gateway.LimitRequests, 1, time.Hour, 1)}
	call(b, l, claims)
	b.ReportAllocs()
	for b.Loop() {
		if denied, err := l.Admit(b.Context(), claims); denied != 0 || err != nil {
			b.Fatalf("denied %d, error %v", denied, err)
		}
	}
}

func BenchmarkAdmitAndSettleParallel(b *testing.B) {
	for _, subjects := range []int64{1, 10_000} {
		b.Run(fmt.Sprintf("%d subjects", subjects), func(b *testing.B) {
			l := NewLimiter()
			var worker atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var calls [][]gateway.Claim
				for i := worker.Add(1) * 100; len(calls) < 100; i++ {
					subject := fmt.Sprintf("key:%d", i%subjects)
					calls = append(calls, benchmarkClaims(subject, subject))
				}
				for i := 0; pb.Next(); i++ {
					call(b, l, calls[i%len(calls)])
				}
			})
		})
	}
}
