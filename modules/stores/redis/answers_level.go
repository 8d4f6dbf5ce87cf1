package redis

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// level is the first level for as long as Redis tells of every change: what it holds is what Redis holds, but for the
// milliseconds that the news takes. A nil level holds nothing.
//
// A value that was read from Redis may have been deleted there before it is put here, and the news of it have come in
// between. So every change is counted, and a value is kept only where the count is what it was before Redis was asked.
// Keys share counters: a change of another key costs at most a value not kept.
type level struct {
	store   gateway.AnswerStore
	watches watches
	slots   [256]struct {
		mu      sync.Mutex
		changes uint64
	}
}

// answer finds what the level holds. A store that fails holds nothing: there is Redis to ask.
func (l *level) answer(ctx context.Context, key gateway.AnswerKey) *gateway.Answer {
	if l == nil {
		return nil
	}
	answer, err := l.store.Answer(ctx, key)
	if err != nil {
		return nil
	}
	return answer
}

// changes is to be read before Redis is asked, and given to keep with what it said.
func (l *level) changes(key gateway.AnswerKey) uint64 {
	if l == nil {
		return 0
	}
	slot := &l.slots[key[0]]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	return slot.changes
}

// keep puts an answer, unless something has changed meanwhile.
func (l *level) keep(ctx context.Context, key gateway.AnswerKey, changes uint64, answer *gateway.Answer) bool {
	if l == nil {
		return false
	}
	slot := &l.slots[key[0]]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.changes != changes {
		return false
	}
	slot.changes++
	return l.store.PutAnswer(ctx, key, answer) == nil
}

// drop forgets an answer, and whatever is being read of it.
func (l *level) drop(ctx context.Context, key gateway.AnswerKey) {
	if l == nil {
		return
	}
	slot := &l.slots[key[0]]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	slot.changes++
	l.store.DeleteAnswer(ctx, key) //nolint:errcheck // a first level is memory
}

// dropName forgets the answer that has a name in Redis.
func (l *level) dropName(name string) {
	digits, ok := strings.CutPrefix(name, answerPrefix)
	var key gateway.AnswerKey
	if !ok || len(digits) != hex.EncodedLen(len(key)) {
		return
	}
	if _, err := hex.Decode(key[:], []byte(digits)); err == nil {
		l.drop(context.Background(), key)
	}
}
