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
	// Created is when it was made, Expires when it stops being fresh.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
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
