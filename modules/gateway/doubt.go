package gateway

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// A key is doubtful where changes may have been missed since it was read. It is read again as it is used: if the store answers, that
// holds; if it cannot, what was last known does. Waiting for the store and leaving it alone take a second together, so that what a
// store says that is back holds within a second.
const (
	// believedFor is how long what was last known of a doubtful key holds without an answer of the store.
	believedFor = 24 * time.Hour
	// confirmEvery is how long a read holds while changes made elsewhere are not heard of, and how long a store that did not answer
	// is left alone.
	confirmEvery = 500 * time.Millisecond
	// confirmTimeout bounds how long a call with a doubtful key waits for the store.
	confirmTimeout = 500 * time.Millisecond
)

// doubtAll makes doubtful all that was read until now, and refusals unknown. Deaf says whether changes made elsewhere will be missed
// from now on, too.
func (k *Keyring) doubtAll(deaf bool) {
	now := k.now()
	k.keeping.Lock()
	defer k.keeping.Unlock()
	k.version.Add(1)
	k.deaf.Store(deaf)
	k.silent.Store(nil)
	for _, h := range k.known.All() {
		h.doubted.CompareAndSwap(nil, &now)
	}
	k.unknown.InvalidateAll()
}

// doubtful says whether a key must be confirmed before it is used.
func (k *Keyring) doubtful(h *held, now time.Time) bool {
	since := h.doubted.Load()
	return since != nil && (!k.deaf.Load() || now.Sub(*since) >= confirmEvery)
}

// confirm reads a doubtful key again.
func (k *Keyring) confirm(ctx context.Context, hash KeyHash, last *held, now time.Time) (*held, error) {
	believed := now.Sub(*last.doubted.Load()) < believedFor
	if believed && !k.mayAsk(now) {
		return last, nil
	}
	version := k.version.Load()
	waiting, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	h, err := k.load(waiting, hash, now)
	if err == nil || errors.Is(err, ErrKeyNotFound) || ctx.Err() != nil {
		return h, err
	}
	k.loads.Forget(loadName(hash, version)) // it may hang where the next one would not
	k.keep(version, func() { k.silent.Store(new(k.now())) })
	if k.believing.CompareAndSwap(false, true) {
		k.log.Warn("the key store does not answer; known keys go on working as they were last known",
			zap.Duration("for_up_to", believedFor), zap.Error(err))
	}
	if !believed {
		return nil, err
	}
	return last, nil
}

// mayAsk says whether the store may be asked about a key that can do without. One that did not answer is asked by one call at a time,
// so that the others do not wait.
func (k *Keyring) mayAsk(now time.Time) bool {
	asked := k.silent.Load()
	return asked == nil || now.Sub(*asked) >= confirmEvery && k.silent.CompareAndSwap(asked, &now)
}

// answered notes that the store answers.
func (k *Keyring) answered() {
	k.silent.Store(nil)
	if k.believing.CompareAndSwap(true, false) {
		k.log.Info("the key store answers; keys are read again as they are used")
	}
}
