package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// AnswerBytes is the bound that a store under test is opened with: a mebibyte.
const AnswerBytes = 1 << 20

// Clock is the time that a store under test goes by. It stands still unless it is advanced.
type Clock interface {
	Now() time.Time
	Advance(time.Duration)
}

// Answers checks that a store behaves as [gateway.AnswerStore] says. The function given opens an empty one for
// AnswerBytes bytes, and the clock that it goes by.
func Answers(t *testing.T, open func(t *testing.T) (gateway.AnswerStore, Clock)) {
	behaviours := []struct {
		name  string
		check func(a *answersTest)
	}{
		{"finds nothing in an empty store", findsNothing},
		{"finds what was put", findsAnswer},
		{"replaces an answer", replacesAnswer},
		{"forgets an answer when it expires", expiresAnswer},
		{"takes the expiry of the newest answer", takesNewestExpiry},
		{"does not keep an answer that has expired", dropsStaleAnswer},
		{"does not keep an answer larger than the store", dropsLargeAnswer},
		{"deletes an answer", deletesAnswer},
		{"stays within its bound", staysWithinBound},
		{"counts what it keeps", countsAnswers},
		{"serves many at once", servesMany},
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			store, clock := open(t)
			b.check(&answersTest{T: t, store: store, clock: clock})
		})
	}
}

type answersTest struct {
	*testing.T
	store gateway.AnswerStore
	clock Clock
}

func (a *answersTest) answer(body string, fresh time.Duration) *gateway.Answer {
	now := a.clock.Now()
	return &gateway.Answer{
		Provider: "openai",
		Model:    "gpt-5",
		Body:     []byte(body),
		Usage:    dialect.Usage{Input: 3, Output: 5},
		Created:  now,
		Expires:  now.Add(fresh),
	}
}

func (a *answersTest) put(key gateway.AnswerKey, answer *gateway.Answer) {
	a.Helper()
	if err := a.store.PutAnswer(a.Context(), key, answer); err != nil {
		a.Fatalf("putting: %v", err)
	}
}

func (a *answersTest) get(key gateway.AnswerKey) *gateway.Answer {
	a.Helper()
	answer, err := a.store.Answer(a.Context(), key)
	if err != nil {
		a.Fatalf("getting: %v", err)
	}
	return answer
}

// finds checks what is under a key; an empty body means that nothing is.
func (a *answersTest) finds(key gateway.AnswerKey, body string) {
	a.Helper()
	switch answer := a.get(key); {
	case answer == nil && body != "":
		a.Errorf("found nothing, want %q", body)
	case answer != nil && string(answer.Body) != body:
		a.Errorf("found %.20q, want %q", answer.Body, body)
	}
}

func (a *answersTest) stats() gateway.AnswerStats {
	a.Helper()
	stats, err := a.store.AnswerStats(a.Context())
	if err != nil {
		a.Fatalf("counting: %v", err)
	}
	return stats
}

func findsNothing(a *answersTest) {
	a.finds(gateway.AnswerKey{1}, "")
	if got := a.stats(); got != (gateway.AnswerStats{}) {
		a.Errorf("an empty store counts %+v", got)
	}
}

func findsAnswer(a *answersTest) {
	want := a.answer(`{"id":1}`, time.Minute)
	a.put(gateway.AnswerKey{1}, want)
	a.finds(gateway.AnswerKey{2}, "")
	got := a.get(gateway.AnswerKey{1})
	if got == nil {
		a.Fatal("found nothing")
	}
	if got.Provider != want.Provider || got.Model != want.Model || got.Usage != want.Usage ||
		!bytes.Equal(got.Body, want.Body) || !got.Created.Equal(want.Created) || !got.Expires.Equal(want.Expires) {
		a.Errorf("found %+v, want %+v", got, want)
	}
}

func replacesAnswer(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("old", time.Minute))
	a.put(gateway.AnswerKey{1}, a.answer("new", time.Minute))
	a.finds(gateway.AnswerKey{1}, "new")
	if got := a.stats().Entries; got != 1 {
		a.Errorf("%d entries, want 1", got)
	}
}

func expiresAnswer(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("short", time.Minute))
	a.put(gateway.AnswerKey{2}, a.answer("long", time.Hour))
	a.clock.Advance(time.Minute - time.Second)
	a.finds(gateway.AnswerKey{1}, "short")
	a.clock.Advance(time.Second)
	a.finds(gateway.AnswerKey{1}, "")
	a.finds(gateway.AnswerKey{2}, "long")
	a.clock.Advance(time.Hour)
	a.finds(gateway.AnswerKey{2}, "")
}

func takesNewestExpiry(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("old", time.Minute))
	a.put(gateway.AnswerKey{1}, a.answer("new", time.Hour))
	a.put(gateway.AnswerKey{2}, a.answer("old", time.Hour))
	a.put(gateway.AnswerKey{2}, a.answer("new", time.Minute))
	a.clock.Advance(30 * time.Minute)
	a.finds(gateway.AnswerKey{1}, "new")
	a.finds(gateway.AnswerKey{2}, "")
}

func dropsStaleAnswer(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("old", time.Minute))
	a.put(gateway.AnswerKey{1}, a.answer("stale", 0))
	a.put(gateway.AnswerKey{2}, a.answer("stale", -time.Hour))
	a.put(gateway.AnswerKey{3}, &gateway.Answer{Body: []byte("no expiry")})
	for key := range byte(4) {
		a.finds(gateway.AnswerKey{key}, "")
	}
}

func dropsLargeAnswer(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("small", time.Minute))
	a.put(gateway.AnswerKey{2}, a.answer("old", time.Minute))
	a.put(gateway.AnswerKey{2}, a.answer(string(make([]byte, AnswerBytes+1)), time.Minute))
	a.finds(gateway.AnswerKey{1}, "small")
	a.finds(gateway.AnswerKey{2}, "")
}

func deletesAnswer(a *answersTest) {
	a.put(gateway.AnswerKey{1}, a.answer("one", time.Minute))
	a.put(gateway.AnswerKey{2}, a.answer("two", time.Minute))
	for range 2 { // the second finds nothing to delete, which is no error
		if err := a.store.DeleteAnswer(a.Context(), gateway.AnswerKey{1}); err != nil {
			a.Fatalf("deleting: %v", err)
		}
	}
	a.finds(gateway.AnswerKey{1}, "")
	a.finds(gateway.AnswerKey{2}, "two")
}

func staysWithinBound(a *answersTest) {
	body := string(make([]byte, AnswerBytes/64))
	for i := range byte(255) {
		a.put(gateway.AnswerKey{i}, a.answer(body, time.Minute))
	}
	got := a.stats()
	if got.Bytes > AnswerBytes || got.Bytes < AnswerBytes/2 {
		a.Errorf("%d bytes kept, want at most %d and more than half of it", got.Bytes, AnswerBytes)
	}
	if got.Entries*AnswerBytes/64 > AnswerBytes {
		a.Errorf("%d answers of %d bytes kept in %d", got.Entries, len(body), AnswerBytes)
	}
}

func countsAnswers(a *answersTest) {
	const size = 1000
	for i := range byte(10) {
		a.put(gateway.AnswerKey{i}, a.answer(string(make([]byte, size)), time.Duration(i+1)*time.Minute))
	}
	if got := a.stats(); got.Entries != 10 || got.Bytes < 10*size || got.Bytes > 20*size {
		a.Errorf("counted %+v for 10 answers of %d bytes", got, size)
	}
	a.clock.Advance(time.Hour)
	if got := a.stats(); got != (gateway.AnswerStats{}) {
		a.Errorf("counted %+v when all have expired", got)
	}
}

func servesMany(a *answersTest) {
	together(50, func(i int) {
		for j := range 100 {
			key := gateway.AnswerKey{byte(j % 10)}
			body := fmt.Sprintf("answer %d", j%10)
			if err := a.store.PutAnswer(a.Context(), key, a.answer(body, time.Minute)); err != nil {
				a.Errorf("putting: %v", err)
			}
			if i%10 == 0 && j%7 == 0 {
				if err := a.store.DeleteAnswer(a.Context(), key); err != nil {
					a.Errorf("deleting: %v", err)
				}
			}
			got, err := a.store.Answer(a.Context(), key)
			if err != nil || got != nil && string(got.Body) != body {
				a.Errorf("found %v, error %v; want %q", got, err, body)
			}
		}
	})
}
