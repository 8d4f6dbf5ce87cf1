package redis

import (
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// load is callers that ask a limiter over and over, as a gateway's clients do.
type load struct {
	all  sync.WaitGroup
	done chan struct{}

	mu      sync.Mutex
	took    []time.Duration
	failed  int
	refused int
}

func startLoad(t *testing.T, l *Limiter, callers int, claims func() []gateway.Claim) *load {
	load := &load{done: make(chan struct{})}
	for range callers {
		load.all.Go(func() {
			for {
				select {
				case <-load.done:
					return
				case <-time.After(time.Millisecond):
				}
				asked := claims()
				start := time.Now()
				denied, err := l.Admit(t.Context(), asked)
				took := time.Since(start)
				if denied < 0 && err == nil {
					l.Settle(t.Context(), asked)
				}
				load.mu.Lock()
				load.took = append(load.took, took)
				if err != nil {
					load.failed++
				} else if denied >= 0 {
					load.refused++
				}
				load.mu.Unlock()
			}
		})
	}
	return load
}

func (l *load) decisions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.took)
}

func (l *load) stop() {
	close(l.done)
	l.all.Wait()
}

func plenty() []gateway.Claim {
	return of("team:x", requests("key:a", 1_000_000, time.Hour), tokens("key:a", 1e9, 10, time.Hour), concurrency("key:a", 100))
}

func TestAPausedRedisCostsNoMoreThanItsBudgetAndIsJoinedAgainWithinTwoSeconds(t *testing.T) {
	for name, pause := range map[string]func(*server){
		"DEBUG SLEEP":  func(s *server) { s.do("DEBUG", "SLEEP", "2") },
		"CLIENT PAUSE": func(s *server) { s.do("CLIENT", "PAUSE", "2000"); s.do("SET", "paused", "until now") },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			log, logs := observed()
			const budget = 150 * time.Millisecond // the machine that runs the tests may be busy
			client := newClient(t, s.url(), budget, log)
			l := openLimiter(t, client, Local, memory.NewLimiter())
			load := startLoad(t, l, 8, plenty)
			await(t, "decisions", func() bool { return load.decisions() > 100 })
			pause(s)
			back := time.Now()
			await(t, "redis to be asked again", client.Up)
			if took := time.Since(back); took > 2*time.Second {
				t.Errorf("redis was asked again after %v, want 2s at most", took)
			}
			since := s.counting()
			await(t, "redis to decide", func() bool { return since() > 100 })
			load.stop()
			if load.failed > 0 || load.refused > 0 {
				t.Errorf("%d calls failed and %d were refused, want none", load.failed, load.refused)
			}
			if most := slices.Max(load.took); most > budget+250*time.Millisecond {
				t.Errorf("a decision took %v, want %v at most", most, budget)
			}
			if logs.Len() > 2 {
				t.Errorf("%d lines in the log, want 2 at most: %v", logs.Len(), logs.All())
			}
		})
	}
}

func TestARedisThatIsKilledAndComesBackEmptyIsUsedAgain(t *testing.T) {
	s := startServer(t)
	log, logs := observed()
	client := newClient(t, s.url(), DefaultTimeout, log)
	l := openLimiter(t, client, Local, memory.NewLimiter())
	load := startLoad(t, l, 4, plenty)
	await(t, "decisions", func() bool { return load.decisions() > 100 })
	s.kill()
	await(t, "the breaker to open", func() bool { return !client.Up() })
	before := load.decisions()
	await(t, "decisions without redis", func() bool { return load.decisions() > before+100 })
	s.start()
	await(t, "redis to be asked again", client.Up)
	since := s.counting()
	await(t, "redis to decide", func() bool { return since() > 100 })
	load.stop()
	if load.failed > 0 || load.refused > 0 {
		t.Errorf("%d calls failed and %d were refused, want none", load.failed, load.refused)
	}
	if logs.Len() > 2 {
		t.Errorf("%d lines in the log, want 2 at most: %v", logs.Len(), logs.All())
	}
	l.settler.flush()
	if n, _ := s.do("ZCARD", "rate_limit:{team:x}:key:a:concurrency").Int(); n != 0 {
		t.Errorf("%d slots are held and nobody calls", n)
	}
}

func TestLimitsThatAreResetUnderLoadAreNeverPassedBetweenResets(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	const n = 1000
	claims := func() []gateway.Claim { return []gateway.Claim{tokens("key:a", n, 100, time.Hour)} }
	load := startLoad(t, l, 8, claims) // each call settles as having used nothing
	for range 20 {
		before := load.decisions()
		await(t, "decisions", func() bool { return load.decisions() > before+20 })
		for _, key := range s.keys("rate_limit:*") {
			s.do("DEL", key)
		}
	}
	load.stop()
	if load.failed > 0 {
		t.Errorf("%d calls failed", load.failed)
	}
	// Had a late settlement touched what was made after a reset, there would be too few tokens in use now, or fewer than none.
	got := admit(t, l, -1, tokens("key:a", n, n, time.Hour))
	if got[0].Remaining != 0 {
		t.Errorf("%d remaining of a window that is full", got[0].Remaining)
	}
}

func TestAPoolThatIsExhaustedIsATimeoutLikeAnyOther(t *testing.T) {
	s := startServer(t)
	client, err := NewClient(s.url(), DefaultTimeout, 2, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l := openLimiter(t, client, Local, memory.NewLimiter())
	load := startLoad(t, l, 40, plenty)
	await(t, "decisions", func() bool { return load.decisions() > 2000 })
	load.stop()
	if load.failed > 0 || load.refused > 0 {
		t.Errorf("%d calls failed and %d were refused, want none", load.failed, load.refused)
	}
}
