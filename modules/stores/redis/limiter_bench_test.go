package redis

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// cpu is what a server has spent on scripts, in microseconds.
func (s *server) cpu() (spent float64) {
	for line := range strings.Lines(s.do("INFO", "commandstats").String()) {
		var calls, usec int64
		if n, _ := fmt.Sscanf(line, "cmdstat_evalsha:calls=%d,usec=%d,", &calls, &usec); n == 2 {
			return float64(usec)
		}
	}
	return 0
}

// What a decision costs Redis, by INFO commandstats, and what both sides take together:
//
//	go test -run '^$' -bench BenchmarkDecision ./modules/stores/redis
func BenchmarkDecision(b *testing.B) {
	for _, claims := range [][]gateway.Claim{
		{requests("key:a", 10_000, time.Second)},
		{requests("key:a", 10_000, time.Second), requests("team:x", 1_000_000_000, time.Hour)},
		{requests("key:a", 10_000, time.Second), requests("team:x", 1_000_000_000, time.Hour), tokens("key:a", 1e12, 1000, time.Minute), concurrency("key:a", 1e6)},
	} {
		b.Run(fmt.Sprintf("%d claims", len(claims)), func(b *testing.B) {
			s := startServer(b)
			l := openLimiter(b, s.patient(), Deny, nil)
			l.denials = newDenials(0)
			claims = of("team:x", claims...)
			b.ReportAllocs()
			var before float64
			for i := 0; b.Loop(); i++ {
				if i == 1 {
					before = s.cpu()
				}
				if denied, err := l.Admit(b.Context(), claims); err != nil {
					b.Fatal(err)
				} else if denied < 0 {
					l.end(claims) // without the second operation
				}
			}
			b.ReportMetric((s.cpu()-before)/float64(b.N), "redis-us/op")
		})
	}
}

// A refusal that is known costs Redis nothing.
func BenchmarkKnownRefusal(b *testing.B) {
	s := startServer(b)
	l := openLimiter(b, s.patient(), Deny, nil)
	claims := of("team:x", requests("key:a", 1, time.Hour), tokens("key:a", 1e12, 1000, time.Minute))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Admit(b.Context(), claims); err != nil {
			b.Fatal(err)
		}
	}
}

// What a decision costs a gateway that makes many at a time, in microseconds of its processor, with and without batches.
func BenchmarkBusyDecisions(b *testing.B) {
	for name, batches := range map[string]*batcher{"alone": nil, "together": newBatcher()} {
		b.Run(name, func(b *testing.B) {
			s := startServer(b)
			client := s.patient()
			client.batches = batches
			l := openLimiter(b, client, Deny, nil)
			claims := of("team:x", requests("key:a", 1_000_000_000, time.Hour))
			b.ReportAllocs()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			before := spent(b)
			b.RunParallel(func(pb *testing.PB) {
				own := slices.Clone(claims)
				for pb.Next() {
					if _, err := l.Admit(b.Context(), own); err != nil {
						b.Error(err)
						return
					}
					l.end(own)
				}
			})
			b.ReportMetric(float64((spent(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// spent is the processor's time that this process has taken.
func spent(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
