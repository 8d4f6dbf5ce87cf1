package redis

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

func TestAnswersAndLeasesOnACluster(t *testing.T) {
	masters, url := redistest.StartCluster(t)
	a, b := openCache(t, url), openCache(t, url)
	withFirstLevel(t, a, b)
	if n := len(a.level.Load().watches.byAddress); n != 3 {
		t.Errorf("%d of 3 masters are listened to", n)
	}
	const keys = 30
	key := func(i byte) gateway.AnswerKey { return gateway.AnswerKey{i} }
	fill := func() {
		t.Helper()
		for i := range byte(keys) {
			putAnswer(t, a, key(i), anAnswer("kept"))
			bringNear(t, b, key(i), "kept")
		}
	}
	gone := func(s *Answers, i byte) bool {
		answer, err := s.Answer(t.Context(), key(i))
		return answer == nil && err == nil
	}

	t.Run("answers are on all masters", func(t *testing.T) {
		fill()
		total := int64(0)
		for _, m := range masters {
			n := m.DBSize(t.Context()).Val()
			if total += n; n == 0 {
				t.Error("a master has none")
			}
		}
		if total != keys {
			t.Errorf("%d answers, want %d", total, keys)
		}
	})
	t.Run("deleting one is forgotten everywhere", func(t *testing.T) {
		fill()
		for i := range byte(keys) {
			if err := a.DeleteAnswer(t.Context(), key(i)); err != nil {
				t.Fatalf("deleting: %v", err)
			}
			within(t, forgottenWithin, "the answer to be forgotten", func() bool { return gone(a, i) && gone(b, i) })
		}
	})
	t.Run("each master's FLUSHALL is forgotten everywhere", func(t *testing.T) {
		fill()
		for _, m := range masters {
			if err := m.FlushAll(t.Context()).Err(); err != nil {
				t.Fatalf("flushing: %v", err)
			}
		}
		within(t, forgottenWithin, "all to be forgotten", func() bool {
			for i := range byte(keys) {
				if !gone(a, i) || !gone(b, i) {
					return false
				}
			}
			return true
		})
		withFirstLevel(t, a, b)
	})
	t.Run("the connection lost to one master takes the first level", func(t *testing.T) {
		withFirstLevel(t, a, b)
		fill()
		before := b.level.Load()
		if err := masters[1].ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatalf("killing: %v", err)
		}
		within(t, forgottenWithin, "the first level to be dropped", func() bool { return b.level.Load() != before })
		withFirstLevel(t, a, b)
	})
	t.Run("a lease is granted once and waited for", func(t *testing.T) {
		for i := range byte(10) {
			release, granted := takeLease(t, a, key(i))
			if !granted {
				t.Fatal("not granted")
			}
			if _, granted := takeLease(t, b, key(i)); granted {
				t.Error("granted twice")
			}
			woken := make(chan struct{})
			go func() { defer close(woken); b.Await(t.Context(), key(i)) }()
			within(t, 5*time.Second, "somebody to wait", func() bool {
				return subscribers(masters, leaseName(key(i))) == 1
			})
			release()
			within(t, time.Second, "the wait to end", func() bool {
				select {
				case <-woken:
					return true
				default:
					return false
				}
			})
		}
	})
	t.Run("a master that dies takes its own answers only", func(t *testing.T) {
		withFirstLevel(t, a, b)
		masters[2].Pause()
		defer masters[2].Resume()
		within(t, forgottenWithin, "the first level to be dropped", func() bool { return a.level.Load() == nil })
		found := 0
		for i := range byte(keys) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			if err := a.PutAnswer(ctx, key(i), anAnswer("kept")); err == nil {
				if answer, err := a.Answer(ctx, key(i)); err == nil && answer != nil {
					found++
				}
			}
			cancel()
		}
		if found == 0 || found == keys {
			t.Errorf("%d of %d answers found", found, keys)
		}
	})
}

func subscribers(masters []*redistest.Server, channel string) (n int64) {
	for _, m := range masters {
		n += m.PubSubNumSub(context.Background(), channel).Val()[channel]
	}
	return n
}
