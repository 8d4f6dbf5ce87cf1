package redis

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// roundTrips counts how often a client waits for Redis.
type roundTrips struct{ n atomic.Int32 }

func (r *roundTrips) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *roundTrips) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmds)
	}
}

// looking is a gateway's limiter with its answers, and a count of its round trips.
func looking(t testing.TB, url string, policy Policy, first func() gateway.AnswerStore) (*Limiter, *roundTrips) {
	t.Helper()
	client := newClient(t, url, 10*time.Second, zap.NewNop())
	l := openLimiter(t, client, policy, memory.NewLimiter())
	l.answers = newAnswers(client, first, maxAnswer, zap.NewNop())
	t.Cleanup(func() { l.answers.Close() })
	admit(t, l, -1, requests("key:warm", 9, time.Hour)) // after which the server knows the script
	trips := new(roundTrips)
	client.Redis().AddHook(trips)
	return l, trips
}

func TestADecisionAndAnAnswerAreOneRoundTrip(t *testing.T) {
	s := startServer(t)
	l, trips := looking(t, s.url(), Deny, nil)
	here, nowhere := gateway.AnswerKey{1}, gateway.AnswerKey{2}
	putAnswer(t, l.answers, here, anAnswer("kept"))
	for _, c := range []struct {
		name   string
		claims []gateway.Claim
		key    gateway.AnswerKey
		denied int
		found  bool
		looked bool
		trips  int32
	}{
		{"an answer that is there", of("team:x", requests("key:a", 5, time.Hour), requests("team:x", 9, time.Hour)), here, -1, true, true, 1},
		{"one that is not", of("team:x", requests("key:a", 5, time.Hour)), nowhere, -1, false, true, 1},
		{"limits of two tenants", []gateway.Claim{requests("key:b", 5, time.Hour), requests("team:y", 9, time.Hour)}, here, -1, true, true, 1},
		{"the last call that is admitted", of("team:x", requests("key:c", 1, time.Hour)), here, -1, true, true, 1},
		{"a refusal", of("team:x", requests("key:c", 1, time.Hour)), here, 0, false, false, 1},
		{"a refusal that is known", of("team:x", requests("key:c", 1, time.Hour)), here, 0, false, false, 0},
	} {
		trips.n.Store(0)
		denied, answer, looked, err := l.AdmitAndLook(t.Context(), c.claims, c.key)
		if err != nil || denied != c.denied || looked != c.looked || (answer != nil) != c.found {
			t.Errorf("%s: denied %d, answer %v, looked %v, error %v; want %d, %v, %v", c.name, denied, answer, looked, err, c.denied, c.found, c.looked)
		}
		if answer != nil && string(answer.Body) != string(anAnswer("kept").Body) {
			t.Errorf("%s: got %s", c.name, answer.Body)
		}
		if got := trips.n.Load(); got != c.trips {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.trips)
		}
	}
}

func TestALookFillsTheFirstLevelAndThenCostsNothing(t *testing.T) {
	s := startServer(t)
	l, _ := looking(t, s.url(), Deny, func() gateway.AnswerStore { return memory.NewAnswers(1 << 20) })
	other := openCache(t, s.url())
	key := gateway.AnswerKey{3}
	withFirstLevel(t, l.answers)
	putAnswer(t, other, key, anAnswer("made elsewhere"))
	gets := func() (n string) {
		for line := range strings.Lines(s.do("INFO", "commandstats").String()) {
			if rest, found := strings.CutPrefix(line, "cmdstat_get:calls="); found {
				n, _, _ = strings.Cut(rest, ",")
			}
		}
		return n
	}
	call := func() {
		t.Helper()
		_, answer, looked, err := l.AdmitAndLook(t.Context(), []gateway.Claim{requests("key:a", 50, time.Hour)}, key)
		if err != nil || !looked || answer == nil {
			t.Fatalf("answer %v, looked %v, error %v", answer, looked, err)
		}
	}
	call()
	await(t, "the first level to hold it", func() bool { call(); return l.answers.level.Load().answer(t.Context(), key) != nil })
	before := gets()
	call()
	if after := gets(); after != before {
		t.Errorf("Redis was asked %s times, then %s", before, after)
	}
}

func TestWhatIsNoAnswerIsDeletedByALookToo(t *testing.T) {
	s := startServer(t)
	l, _ := looking(t, s.url(), Deny, nil)
	key := gateway.AnswerKey{4}
	s.do("SET", answerName(key), "scribble")
	denied, answer, looked, err := l.AdmitAndLook(t.Context(), []gateway.Claim{requests("key:a", 5, time.Hour)}, key)
	if denied >= 0 || answer != nil || !looked || err != nil {
		t.Errorf("denied %d, answer %v, looked %v, error %v", denied, answer, looked, err)
	}
	if n := len(s.keys("cache:*")); n != 0 {
		t.Errorf("%d are left", n)
	}
	// A key of another type is no reason to fail the decision that it comes along with.
	s.do("RPUSH", answerName(key), "x")
	if denied, answer, looked, err = l.AdmitAndLook(t.Context(), []gateway.Claim{requests("key:a", 5, time.Hour)}, key); denied >= 0 || answer != nil || looked || err != nil {
		t.Errorf("denied %d, answer %v, looked %v, error %v", denied, answer, looked, err)
	}
}

func TestWithoutRedisALookTellsNothingAndThePolicyDecides(t *testing.T) {
	s := startServer(t)
	l, _ := looking(t, s.url(), Local, nil)
	s.kill()
	for range 2 * openAfter {
		denied, answer, looked, err := l.AdmitAndLook(t.Context(), []gateway.Claim{requests("key:a", 100, time.Hour)}, gateway.AnswerKey{5})
		if denied >= 0 || answer != nil || looked || err != nil {
			t.Fatalf("denied %d, answer %v, looked %v, error %v", denied, answer, looked, err)
		}
	}
}
