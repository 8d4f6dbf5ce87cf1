package cache

import (
	"context"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// lease has only one gateway of several make an answer. Where it returns no answer, release is to be called once the answer is kept or
// will not be; calling it again does nothing. A store that one gateway has to itself grants every lease.
func (c *Cache) lease(ctx context.Context, key gateway.AnswerKey, asked control) (release func(), answer *gateway.Answer) {
	leaser, shared := c.app.Answers().(gateway.Leaser)
	if !shared {
		return func() {}, c.lookup(ctx, key, asked) // a flight may have landed since the first look
	}
	for waited := false; ; waited = true {
		release, granted, err := leaser.Lease(ctx, key)
		if err != nil {
			return func() {}, nil
		}
		if granted {
			if answer = c.lookup(ctx, key, asked); answer != nil { // somebody was done since the first look
				release()
			}
			return release, answer
		}
		if waited { // whoever had it gave up, and somebody else tries: not one after the other
			return func() {}, nil
		}
		if answer = c.await(ctx, leaser, key, asked); answer != nil {
			return func() {}, answer
		}
	}
}
