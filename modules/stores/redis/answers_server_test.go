package redis

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// openCache opens a gateway's store.
func openCache(t testing.TB, url string, adapt ...func(*Answers)) *Answers {
	t.Helper()
	// The machine may be slow with all that tests do at once: bounds are tested where they matter.
	return openCacheWithin(t, url, 2*time.Second, adapt...)
}

func openCacheWithin(t testing.TB, url string, timeout time.Duration, adapt ...func(*Answers)) *Answers {
	t.Helper()
	log := zaptest.NewLogger(t)
	client, err := NewClient(url, timeout, 0, log)
	if err != nil {
		t.Fatalf("making client: %v", err)
	}
	store := newAnswers(client, func() gateway.AnswerStore { return memory.NewAnswers(16 << 20) }, 1<<20, log)
	for _, change := range adapt {
		change(store)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing store: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("closing client: %v", err)
		}
	})
	return store
}

// withFirstLevel waits until a store is told of changes.
func withFirstLevel(t testing.TB, stores ...*Answers) {
	t.Helper()
	for _, s := range stores {
		s.watch()
		within(t, 10*time.Second, "the first level", func() bool { return s.level.Load() != nil })
	}
}

// within waits for a condition, which it asks for every other millisecond.
func within(t testing.TB, bound time.Duration, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(bound); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", bound, what)
		}
	}
}

func anAnswer(body string) *gateway.Answer {
	now := time.Now()
	return &gateway.Answer{Provider: "openai", Model: "gpt-5", Body: []byte(body), Created: now, Expires: now.Add(time.Hour)}
}

func putAnswer(t testing.TB, s *Answers, key gateway.AnswerKey, answer *gateway.Answer) {
	t.Helper()
	if err := s.PutAnswer(t.Context(), key, answer); err != nil {
		t.Fatalf("putting: %v", err)
	}
}

// bodyOf is what a store finds; nothing is "".
func bodyOf(t testing.TB, s *Answers, key gateway.AnswerKey) string {
	t.Helper()
	answer, err := s.Answer(t.Context(), key)
	if err != nil {
		t.Fatalf("getting: %v", err)
	}
	if answer == nil {
		return ""
	}
	return string(answer.Body)
}

// bringNear reads an answer until the first level holds it: the news that somebody has put it may come after the first look.
func bringNear(t testing.TB, s *Answers, key gateway.AnswerKey, body string) {
	t.Helper()
	within(t, 5*time.Second, "the answer to be near", func() bool { return bodyOf(t, s, key) == body && near(s, key) })
}

// near tells whether the first level holds an answer.
func near(s *Answers, key gateway.AnswerKey) bool {
	return s.level.Load().answer(context.Background(), key) != nil
}
