package memory

import (
	"context"
	"math"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// answerOverhead is what an answer costs beside its body and names, in bytes: the struct, the key and the cache's
// own entry for it, rounded up.
const answerOverhead = 384

// Answers keeps answers in memory, within a bound of bytes. When it is full, the answers that are asked for least make room.
//
// An answer that no longer is fresh, nor to be kept for when nobody answers, or is larger than the whole store, is not kept: putting it only
// removes what was there under its key. What has expired is never found, and its memory returns as other answers
// come, or when the store is counted.
type Answers struct {
	cache    *otter.Cache[gateway.AnswerKey, *gateway.Answer]
	clock    *answerClock
	maxBytes int64
}

var (
	_ gateway.AnswerStore      = (*Answers)(nil)
	_ gateway.StaleAnswerStore = (*Answers)(nil)
)

// NewAnswers makes an empty store for at most maxBytes bytes of answers, overhead included. With less than one it
// keeps nothing. No goroutine outlives the call.
func NewAnswers(maxBytes int64) *Answers { return newAnswers(maxBytes, time.Now) }

func newAnswers(maxBytes int64, now func() time.Time) *Answers {
	clock := &answerClock{now: now, start: now()}
	return &Answers{
		cache: otter.Must(&otter.Options[gateway.AnswerKey, *gateway.Answer]{
			MaximumWeight: uint64(max(maxBytes, 1)),
			// PutAnswer has made sure that the weight fits.
			Weigher: func(_ gateway.AnswerKey, answer *gateway.Answer) uint32 { return uint32(weight(answer)) },
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[gateway.AnswerKey, *gateway.Answer]) time.Duration {
				return clock.left(e.Value)
			}),
			Clock: clock,
		}),
		clock:    clock,
		maxBytes: maxBytes,
	}
}

// weight is the memory an answer takes, in bytes.
func weight(answer *gateway.Answer) int64 {
	return int64(cap(answer.Body)+len(answer.Provider)+len(answer.Model)) + answerOverhead
}

// Answer finds a fresh answer; see [gateway.AnswerStore].
func (a *Answers) Answer(_ context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	answer, ok := a.cache.GetIfPresent(key)
	if !ok || !answer.StaleUntil.IsZero() && a.clock.fresh(answer) <= 0 {
		return nil, nil
	}
	return answer, nil
}

// StaleAnswer finds an answer, fresh or not; see [gateway.StaleAnswerStore].
func (a *Answers) StaleAnswer(_ context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	answer, _ := a.cache.GetIfPresent(key)
	return answer, nil
}

// PutAnswer keeps an answer until it expires or has to make room.
func (a *Answers) PutAnswer(_ context.Context, key gateway.AnswerKey, answer *gateway.Answer) error {
	if size := weight(answer); size > min(a.maxBytes, math.MaxUint32) || a.clock.left(answer) <= 0 {
		a.cache.Invalidate(key)
		return nil
	}
	a.cache.Set(key, answer)
	return nil
}

// DeleteAnswer forgets one.
func (a *Answers) DeleteAnswer(_ context.Context, key gateway.AnswerKey) error {
	a.cache.Invalidate(key)
	return nil
}

// AnswerStats counts what is kept, in bytes with the overhead.
func (a *Answers) AnswerStats(context.Context) (gateway.AnswerStats, error) {
	a.cache.CleanUp()
	return gateway.AnswerStats{
		Entries: int64(a.cache.EstimatedSize()),
		Bytes:   int64(a.cache.WeightedSize()),
	}, nil
}

// Close forgets all answers. The store stays usable.
func (a *Answers) Close() error {
	a.cache.StopAllGoroutines()
	a.cache.InvalidateAll()
	return nil
}

// answerClock is the cache's clock. It measures from its start, so that a step of the wall clock does not
// age the answers whose Expires was computed in this process.
type answerClock struct {
	now   func() time.Time
	start time.Time
}

// NowNano is the time since the start, in nanoseconds.
func (c *answerClock) NowNano() int64 { return int64(c.now().Sub(c.start)) }

// Tick tells the cache to do without a janitor: nothing would stop it when a config is only validated.
func (c *answerClock) Tick(time.Duration) <-chan time.Time { return nil }

// fresh is how long an answer stays fresh.
func (c *answerClock) fresh(answer *gateway.Answer) time.Duration { return answer.Expires.Sub(c.now()) }

// left is how long an answer is kept.
func (c *answerClock) left(answer *gateway.Answer) time.Duration {
	if answer.StaleUntil.After(answer.Expires) {
		return answer.StaleUntil.Sub(c.now())
	}
	return c.fresh(answer)
}
