package memory

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestAStoreWithoutRoomKeepsNothing(t *testing.T) {
	for _, maxBytes := range []int64{-1, 0, 1, answerOverhead} {
		answers := NewAnswers(maxBytes)
		answer := &gateway.Answer{Body: []byte("body"), Expires: time.Now().Add(time.Hour)}
		if err := answers.PutAnswer(t.Context(), gateway.AnswerKey{1}, answer); err != nil {
			t.Errorf("putting with %d bytes: %v", maxBytes, err)
		}
		if got, err := answers.Answer(t.Context(), gateway.AnswerKey{1}); got != nil || err != nil {
			t.Errorf("found %v, error %v, with %d bytes", got, err, maxBytes)
		}
	}
}

func TestAnAnswerCountsAllTheMemoryOfItsBody(t *testing.T) {
	answers := NewAnswers(10_000)
	answer := &gateway.Answer{Body: make([]byte, 1, 20_000), Expires: time.Now().Add(time.Hour)}
	if err := answers.PutAnswer(t.Context(), gateway.AnswerKey{1}, answer); err != nil {
		t.Errorf("putting: %v", err)
	}
	if got, _ := answers.Answer(t.Context(), gateway.AnswerKey{1}); got != nil {
		t.Error("an answer larger than the store was kept")
	}
}

func TestAStoreThatIsClosedIsEmpty(t *testing.T) {
	answers := NewAnswers(1 << 20)
	answer := &gateway.Answer{Body: []byte("body"), Expires: time.Now().Add(time.Hour)}
	if err := answers.PutAnswer(t.Context(), gateway.AnswerKey{1}, answer); err != nil {
		t.Errorf("putting: %v", err)
	}
	for range 2 {
		if err := answers.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	if got, err := answers.AnswerStats(t.Context()); got != (gateway.AnswerStats{}) || err != nil {
		t.Errorf("counted %+v, error %v", got, err)
	}
}

func TestAStoreHasNoJanitor(t *testing.T) {
	answers := NewAnswers(1 << 20)
	goleak.VerifyNone(t)
	runtime.KeepAlive(answers)
}

func TestFreshnessIsMeasuredWithAndWithoutAMonotonicReading(t *testing.T) {
	answers := NewAnswers(1 << 20)
	expires := time.Now().Add(time.Hour)
	left := answers.clock.left(&gateway.Answer{Expires: expires})
	if left <= 59*time.Minute || left > time.Hour {
		t.Errorf("%v left of an hour", left)
	}
	read := answers.clock.left(&gateway.Answer{Expires: expires.Round(0)})
	if read <= 59*time.Minute || read > time.Hour+time.Minute {
		t.Errorf("%v left of an hour when the answer was read from elsewhere", read)
	}
}

func benchmarkAnswers(b *testing.B) *Answers {
	answers := NewAnswers(64 << 20)
	for i := range 1000 {
		answer := &gateway.Answer{Body: bytes.Repeat([]byte("x"), 4000), Expires: time.Now().Add(time.Hour)}
		if err := answers.PutAnswer(b.Context(), gateway.AnswerKey{byte(i), byte(i >> 8)}, answer); err != nil {
			b.Fatal(err)
		}
	}
	return answers
}

func BenchmarkAnswer(b *testing.B) {
	answers := benchmarkAnswers(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if got, err := answers.Answer(b.Context(), gateway.AnswerKey{byte(i), byte(i & 1)}); got == nil || err != nil {
			b.Fatalf("found %v, error %v", got, err)
		}
	}
}

func BenchmarkAnswerParallel(b *testing.B) {
	answers := benchmarkAnswers(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if got, err := answers.Answer(b.Context(), gateway.AnswerKey{byte(i), byte(i & 1)}); got == nil || err != nil {
				b.Errorf("found %v, error %v", got, err)
			}
		}
	})
}

func BenchmarkPutAnswer(b *testing.B) {
	answers := NewAnswers(1 << 20)
	answer := &gateway.Answer{Body: make([]byte, 4000), Expires: time.Now().Add(time.Hour)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := answers.PutAnswer(b.Context(), gateway.AnswerKey{byte(i), byte(i >> 8), byte(i >> 16)}, answer); err != nil {
			b.Fatal(err)
		}
	}
}
