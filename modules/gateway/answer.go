package gateway

import (
	"context"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Answer is a complete, valid answer: what the cache keeps and replays. It does not change once made.
type Answer struct {
	// Provider and Model say who answered.
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Body is the whole answer in the surface's own shape, not streamed.
	Body []byte `json:"body"`
	// Usage is what it cost when it was made.
	Usage dialect.Usage `json:"usage"`
	// Created is when it was made, Expires when it stops being fresh. Until StaleUntil it may be served where no
	// provider answers; zero means no longer than Expires.
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires"`
	StaleUntil time.Time `json:"stale_until,omitzero"`
}

// AnswerKey names an answer: a SHA-256 over scope, route and canonical body.
type AnswerKey [32]byte

// AnswerStats describes an answer store at one moment.
type AnswerStats struct {
	Entries int64
	Bytes   int64
}

// AnswerStore keeps answers until they expire, within a bound of bytes. It is safe for concurrent use.
type AnswerStore interface {
	// Answer finds a fresh answer; nil where there is none.
	Answer(ctx context.Context, key AnswerKey) (*Answer, error)
	// PutAnswer keeps an answer until it expires.
	PutAnswer(ctx context.Context, key AnswerKey, answer *Answer) error
	// DeleteAnswer forgets one.
	DeleteAnswer(ctx context.Context, key AnswerKey) error
	// AnswerStats counts what is kept.
	AnswerStats(ctx context.Context) (AnswerStats, error)
}

// StaleAnswerStore is implemented by answer stores that keep answers beyond their freshness, for when no provider answers.
type StaleAnswerStore interface {
	// StaleAnswer finds an answer that is kept, fresh or not; nil where there is none.
	StaleAnswer(ctx context.Context, key AnswerKey) (*Answer, error)
}

// Leaser is implemented by answer stores that several gateways share, so that an identical call in progress on one of them is
// one call upstream for all.
type Leaser interface {
	// Lease asks to be the one who makes an answer. Where granted is true, release must be called once the answer is kept or will
	// not be; until then, and at most for the store's bound, nobody else is granted one. An error means that the store
	// cannot tell: make the answer.
	Lease(ctx context.Context, key AnswerKey) (release func(), granted bool, err error)
	// Await waits until whoever holds the lease has kept an answer or given up, or ctx or the store's bound ends.
	// The caller looks for the answer then.
	Await(ctx context.Context, key AnswerKey)
}
