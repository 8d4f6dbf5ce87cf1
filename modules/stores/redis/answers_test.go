package redis

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

// suiteClock is the time that the suite advances.
type suiteClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *suiteClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *suiteClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// shelf is a first level that goes by the suite's clock, as none outside its own package does. It holds as many bytes as it may.
type shelf struct {
	clock *suiteClock
	bytes int64

	mu   sync.Mutex
	held map[gateway.AnswerKey]*gateway.Answer
}

func (s *shelf) Answer(_ context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key], nil
}

func (s *shelf) PutAnswer(_ context.Context, key gateway.AnswerKey, answer *gateway.Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, key)
	for other := range s.held {
		if s.size()+int64(len(answer.Body)) <= s.bytes {
			break
		}
		delete(s.held, other)
	}
	s.held[key] = answer
	return nil
}

func (s *shelf) DeleteAnswer(_ context.Context, key gateway.AnswerKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, key)
	return nil
}

func (s *shelf) AnswerStats(context.Context) (gateway.AnswerStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, answer := range s.held {
		if !s.clock.Now().Before(answer.Expires) {
			delete(s.held, key)
		}
	}
	return gateway.AnswerStats{Entries: int64(len(s.held)), Bytes: s.size()}, nil
}

func (s *shelf) size() (n int64) {
	for _, answer := range s.held {
		n += int64(len(answer.Body))
	}
	return n
}

func TestAnswersBehaveAsEveryStore(t *testing.T) {
	server := redistest.Start(t)
	storetest.Answers(t, func(t *testing.T) (gateway.AnswerStore, storetest.Clock) {
		if err := server.FlushAll(t.Context()).Err(); err != nil {
			t.Fatalf("emptying: %v", err)
		}
		clock := &suiteClock{now: time.Now()}
		store := openCache(t, server.URL(), func(a *Answers) {
			a.now, a.maxBytes = clock.Now, storetest.AnswerBytes
			a.first = func() gateway.AnswerStore {
				return &shelf{clock: clock, bytes: storetest.AnswerBytes, held: make(map[gateway.AnswerKey]*gateway.Answer)}
			}
		})
		withFirstLevel(t, store)
		return store, clock
	})
}

func TestAnswersBehaveAsEveryStoreWithoutAFirstLevelToo(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL(), func(a *Answers) { a.first = nil })
	key := gateway.AnswerKey{1}
	putAnswer(t, store, key, anAnswer("kept"))
	if got := bodyOf(t, store, key); got != "kept" {
		t.Errorf("found %q", got)
	}
	if stats, err := store.AnswerStats(t.Context()); err != nil || stats != (gateway.AnswerStats{}) {
		t.Errorf("counted %+v, error %v", stats, err)
	}
	if n := server.Calls("subscribe"); n != 0 {
		t.Errorf("%d subscriptions for no first level", n)
	}
}

func TestAnAnswerKeptByOneGatewayIsFoundByAnother(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	withFirstLevel(t, a, b)
	key, want := gateway.AnswerKey{1}, anAnswer("shared")
	putAnswer(t, a, key, want)
	got, err := b.Answer(t.Context(), key)
	if err != nil || got == nil || !same(got, want) {
		t.Errorf("found %+v, error %v; want %+v", got, err, want)
	}
}

func TestAHitInTheFirstLevelAsksRedisNothingAndAMissAsksOnce(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	withFirstLevel(t, a, b)
	key := gateway.AnswerKey{1}
	putAnswer(t, a, key, anAnswer("shared"))
	// Once the news of a later change is here, so is all that was ever said of the first.
	later := gateway.AnswerKey{3}
	putAnswer(t, a, later, anAnswer("later"))
	bringNear(t, a, later, "later")
	bringNear(t, b, later, "later")
	if err := server.Del(t.Context(), answerName(later)).Err(); err != nil {
		t.Fatal(err)
	}
	within(t, forgottenWithin, "the news", func() bool { return !near(a, later) && !near(b, later) })
	bringNear(t, a, key, "shared")
	bringNear(t, b, key, "shared")
	for _, test := range []struct {
		name  string
		store *Answers
		key   gateway.AnswerKey
		found string
		gets  int
	}{
		{"the gateway that put it", a, key, "shared", 0},
		{"another", b, key, "shared", 0},
		{"one without a first level", openCache(t, server.URL(), func(a *Answers) { a.first = nil }), key, "shared", 1},
		{"nothing", a, gateway.AnswerKey{2}, "", 1},
		{"nothing again", a, gateway.AnswerKey{2}, "", 1},
	} {
		before := server.Calls("get")
		if got := bodyOf(t, test.store, test.key); got != test.found {
			t.Errorf("%s: found %q, want %q", test.name, got, test.found)
		}
		if gets := server.Calls("get") - before; gets != test.gets {
			t.Errorf("%s: %d round trips, want %d", test.name, gets, test.gets)
		}
	}
}

func TestAnAnswerTooLargeForOneGatewayTakesThePlaceOfNone(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	key := gateway.AnswerKey{1}
	putAnswer(t, store, key, anAnswer("small"))
	large := anAnswer("")
	large.Body = make([]byte, 1<<20+1)
	putAnswer(t, store, key, large)
	if n := server.Exists(t.Context(), answerName(key)).Val(); n != 0 {
		t.Error("something is kept")
	}
}

func TestAStaleAnswerIsFoundOnlyWhereItIsAskedFor(t *testing.T) {
	server := redistest.Start(t)
	clock := &suiteClock{now: time.Now()}
	store := openCache(t, server.URL(), func(a *Answers) { a.now = clock.Now })
	withFirstLevel(t, store)
	key, answer := gateway.AnswerKey{1}, anAnswer("stale")
	answer.StaleUntil = answer.Expires.Add(time.Hour)
	putAnswer(t, store, key, answer)
	stale := func() string {
		answer, err := store.StaleAnswer(t.Context(), key)
		if err != nil {
			t.Fatalf("getting: %v", err)
		}
		if answer == nil {
			return ""
		}
		return string(answer.Body)
	}
	for _, test := range []struct {
		age          time.Duration
		fresh, stale string
	}{{0, "stale", "stale"}, {time.Hour - time.Second, "stale", "stale"}, {time.Hour + time.Second, "", "stale"}, {2*time.Hour + time.Second, "", ""}} {
		clock.Advance(answer.Created.Add(test.age).Sub(clock.Now()))
		if got := bodyOf(t, store, key); got != test.fresh {
			t.Errorf("after %v found %q, want %q", test.age, got, test.fresh)
		}
		if got := stale(); got != test.stale {
			t.Errorf("after %v found %q where stale is good enough, want %q", test.age, got, test.stale)
		}
	}
}

func TestWhatIsNoAnswerIsAMissAndIsDeleted(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	key := gateway.AnswerKey{1}
	good := string(appendFrame(nil, key, anAnswer("good")))
	for name, value := range map[string]string{
		"empty":      "",
		"text":       "not a frame",
		"cut short":  good[:len(good)-1],
		"one bit":    good[:10] + string(good[10]^1) + good[11:],
		"other key":  string(appendFrame(nil, gateway.AnswerKey{2}, anAnswer("somebody else's"))),
		"other text": `{"response":"a JSON answer of another program"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, read := range []func(context.Context, gateway.AnswerKey) (*gateway.Answer, error){store.Answer, store.StaleAnswer} {
				if err := server.Set(t.Context(), answerName(key), value, time.Hour).Err(); err != nil {
					t.Fatalf("spoiling: %v", err)
				}
				if answer, err := read(t.Context(), key); answer != nil || err != nil {
					t.Errorf("found %v, error %v", answer, err)
				}
				if n := server.Exists(t.Context(), answerName(key)).Val(); n != 0 {
					t.Error("it is still there")
				}
			}
		})
	}
}

func TestAnswersExpireInRedisUpToATenthEarlyAndNeverLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ttl := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(365*24*time.Hour)).Draw(t, "ttl"))
		got := jittered(ttl, rapid.Float64Range(0, 1).Draw(t, "by"))
		if got > ttl || got < max(ttl-ttl/10-1, time.Millisecond) {
			t.Errorf("%v became %v", ttl, got)
		}
	})
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	seen := make(map[time.Duration]bool)
	for i := range byte(20) {
		answer := anAnswer("kept")
		if i%2 == 0 {
			answer.StaleUntil, answer.Expires = answer.Expires, answer.Created.Add(time.Second)
		}
		putAnswer(t, store, gateway.AnswerKey{i}, answer)
		ttl := server.PTTL(t.Context(), answerName(gateway.AnswerKey{i})).Val()
		if ttl > time.Hour || ttl < 54*time.Minute-10*time.Second {
			t.Errorf("kept for %v, want 54 to 60 minutes", ttl)
		}
		seen[ttl.Round(time.Second)] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d different times among 20", len(seen))
	}
}

func TestRedisThatDoesNotAnswerCostsNoMoreThanTheTimeout(t *testing.T) {
	const timeout = 100 * time.Millisecond
	server := redistest.Start(t)
	store := openCacheWithin(t, server.URL(), timeout)
	withFirstLevel(t, store)
	key := gateway.AnswerKey{1}
	putAnswer(t, store, key, anAnswer("before"))
	server.Pause()
	defer server.Resume()
	for name, operation := range map[string]func() error{
		"get":    func() error { _, err := store.Answer(t.Context(), gateway.AnswerKey{2}); return err },
		"stale":  func() error { _, err := store.StaleAnswer(t.Context(), key); return err },
		"put":    func() error { return store.PutAnswer(t.Context(), gateway.AnswerKey{3}, anAnswer("after")) },
		"delete": func() error { return store.DeleteAnswer(t.Context(), gateway.AnswerKey{4}) },
		"lease":  func() error { _, _, err := store.Lease(t.Context(), gateway.AnswerKey{5}); return err },
		"await":  func() error { store.Await(t.Context(), gateway.AnswerKey{6}); return context.DeadlineExceeded },
	} {
		start := time.Now()
		if err := operation(); err == nil {
			t.Errorf("%s succeeds without Redis", name)
		}
		// Twice the timeout, since the machine is busy too.
		if took := time.Since(start); took > 2*timeout {
			t.Errorf("%s took %v, with a timeout of %v", name, took, timeout)
		}
	}
	within(t, time.Second, "the first level to be dropped", func() bool { return store.level.Load() == nil })
	server.Resume()
	within(t, 3*time.Second, "Redis to be used again", func() bool {
		return store.PutAnswer(t.Context(), key, anAnswer("after")) == nil && store.level.Load() != nil
	})
	if got := bodyOf(t, store, key); got != "after" {
		t.Errorf("found %q", got)
	}
}

func TestAStoreBeginsWithRedisDownAndJoinsIt(t *testing.T) {
	server := redistest.Start(t)
	store := openCacheWithin(t, "redis://"+server.Address, 100*time.Millisecond)
	server.Pause()
	if answer, err := store.Answer(t.Context(), gateway.AnswerKey{1}); answer != nil || err == nil {
		t.Errorf("found %v, error %v", answer, err)
	}
	server.Resume()
	within(t, 3*time.Second, "the first level", func() bool { return store.level.Load() != nil })
}

func TestAStoreLeavesNothingRunning(t *testing.T) {
	server := redistest.Start(t)
	before := goleak.IgnoreCurrent()
	client, err := NewClient(server.URL(), time.Second, 0, nopLog)
	if err != nil {
		t.Fatal(err)
	}
	unused := newAnswers(client, func() gateway.AnswerStore { return memory.NewAnswers(1 << 20) }, 1<<20, nopLog)
	goleak.VerifyNone(t, before)
	used := newAnswers(client, func() gateway.AnswerStore { return memory.NewAnswers(1 << 20) }, 1<<20, nopLog)
	withFirstLevel(t, used)
	key := gateway.AnswerKey{1}
	if _, granted, err := used.Lease(t.Context(), key); !granted || err != nil {
		t.Fatalf("lease granted %v, error %v", granted, err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { used.Await(t.Context(), key) })
	within(t, 5*time.Second, "somebody to wait", func() bool { return len(server.PubSubChannels(t.Context(), leasePrefix+"*").Val()) == 1 })
	for _, store := range []*Answers{unused, used, used} {
		if err := store.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	waiting.Wait()
	if used.level.Load() != nil {
		t.Error("the first level is still there")
	}
	if _, err := used.Answer(t.Context(), key); err != nil {
		t.Errorf("a store that is closed fails: %v", err)
	}
	used.Await(t.Context(), key)
	if err := client.Close(); err != nil {
		t.Errorf("closing the client: %v", err)
	}
	goleak.VerifyNone(t, before)
}
