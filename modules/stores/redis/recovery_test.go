package redis

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// backWithin is how soon a Redis that is back decides again, whoever calls or nobody does.
const backWithin = 2 * time.Second

// lose pauses a server and has the limiter find out.
func lose(t *testing.T, s *redistest.Server, l *Limiter) {
	t.Helper()
	s.Pause()
	for l.client.Up() {
		admit(t, l, -1, requests("key:a", 1_000_000, time.Hour))
	}
}

func TestRedisDecidesAgainSoonWhereFewCallOrNobodyDoes(t *testing.T) {
	for name, every := range map[string]time.Duration{"nobody": time.Hour, "a call each second": time.Second} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			l := member(t, newClient(t, s.URL(), 200*time.Millisecond, nopLog))
			lose(t, s, l)
			s.Resume()
			back := time.Now()
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for next := time.NewTicker(time.Millisecond); !l.client.Up(); {
				select {
				case <-ticker.C:
					admit(t, l, -1, requests("key:a", 1_000_000, time.Hour))
				case <-next.C:
				}
				if time.Since(back) > backWithin {
					t.Fatalf("redis does not decide %v after it was back", time.Since(back))
				}
			}
			t.Logf("after %v", time.Since(back))
			if got := reading(t, processMetrics().mode.WithLabelValues("redis")); got != 1 {
				t.Errorf("the metric says %v for redis, want 1", got)
			}
		})
	}
}

func TestARedisThatAnswersPingsButCannotWriteIsLeftAlone(t *testing.T) {
	s := redistest.Start(t)
	l := member(t, newClient(t, s.URL(), 2*time.Second, nopLog))
	admit(t, l, -1, requests("key:a", 1_000_000, time.Hour))
	if err := s.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil { // a replica whose master is away
		t.Fatal(err)
	}
	for l.client.Up() {
		admit(t, l, -1, requests("key:a", 1_000_000, time.Hour))
	}
	before := s.Calls("ping")
	within(t, 20*time.Second, "several attempts", func() bool {
		if l.client.Up() {
			t.Fatal("redis decides, and cannot")
		}
		return s.Calls("ping") >= before+5
	})
	if err := s.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	within(t, backWithin, "redis to decide", l.client.Up)
}

// A burst that comes while Redis is tried costs one call its timeout, since one at a time tries.
func TestABurstDuringTheTrialOfARedisThatHangsWaitsForNothing(t *testing.T) {
	s := redistest.Start(t)
	const timeout = time.Second
	l := member(t, newClient(t, s.URL(), timeout, nopLog))
	lose(t, s, l)
	l.client.breaker.revive() // a sign of life, and then it hangs again
	load := startLoad(t, l, 50, plenty)
	within(t, 20*time.Second, "many calls", func() bool { return load.decisions() > 1000 })
	s.Resume()
	load.stop()
	waited := 0
	for _, took := range load.took {
		if took > timeout/2 {
			waited++
		}
	}
	if waited > 1 {
		t.Errorf("%d of %d calls waited for a Redis that hangs, want 1 at most", waited, len(load.took))
	}
}

// A call puts its answer, and then gives its lease back: together they may take as long as one of them.
func TestAnAnswerThatIsPutIntoARedisThatHangsCostsItsCallOneTimeout(t *testing.T) {
	const timeout = 2 * time.Second // longer than a watch waits for a sign of life
	s := redistest.Start(t)
	store := openCacheWithin(t, s.URL(), timeout)
	withFirstLevel(t, store)
	key := gateway.AnswerKey{1}
	release, granted := takeLease(t, store, key)
	if !granted {
		t.Fatal("not granted")
	}
	s.Pause()
	start := time.Now()
	if err := store.PutAnswer(t.Context(), key, anAnswer("late")); err == nil {
		t.Error("an answer was put into a Redis that hangs")
	}
	release()
	if took := time.Since(start); took > timeout+200*time.Millisecond {
		t.Errorf("it took %v, with a timeout of %v", took, timeout)
	}
	s.Resume()
	within(t, backWithin, "redis to be asked again", store.client.Up)
}

func TestTheFirstLevelIsDroppedWhileAWriteStillWaits(t *testing.T) {
	s := redistest.Start(t)
	store := openCacheWithin(t, s.URL(), 5*time.Second)
	withFirstLevel(t, store)
	s.Pause()
	put := make(chan error, 1)
	go func() { put <- store.PutAnswer(t.Context(), gateway.AnswerKey{1}, anAnswer("late")) }()
	within(t, forgottenWithin, "the first level to be dropped", func() bool { return store.level.Load() == nil })
	select {
	case err := <-put:
		t.Errorf("the write has ended already: %v", err)
	default:
	}
	s.Resume()
	<-put
}
