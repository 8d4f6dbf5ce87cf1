package memory

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestLimiterBehavesAsALimiter(t *testing.T) {
	storetest.Limiter(t, func(*testing.T) (gateway.Limiter, func(time.Duration)) {
		clock := new(fakeClock)
		return NewLimiter(WithClock(clock.Elapsed)), clock.Advance
	})
}

func TestAnswersBehaveAsAStore(t *testing.T) {
	storetest.Answers(t, func(t *testing.T) (gateway.AnswerStore, storetest.Clock) {
		clock := new(fakeClock)
		answers := newAnswers(storetest.AnswerBytes, clock.Now)
		t.Cleanup(func() {
			if err := answers.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
		return answers, clock
	})
}
