package gateway

import (
	"context"

	"go.uber.org/zap"
)

// KeyFeed is implemented by key stores that several gateways share: it tells each of them what the others change.
type KeyFeed interface {
	// Changes reports changes of keys, whichever gateway made them, until ctx ends or the store is closed, and returns why.
	// It calls its functions one at a time, and none of them may be nil:
	//
	//   - changed, with the id of a key that was created, updated, rotated or deleted, and not for its last use;
	//   - lost, once it cannot tell of changes: what is known may be outdated from then on. Changes goes on trying;
	//   - reset, as it begins to tell of changes, at first and after each loss: whatever was read from the store before must
	//     be read again before it is relied on.
	Changes(ctx context.Context, changed func(id string), lost func(error), reset func()) error
}

// follow keeps the keyring true to a store that others change too, until ctx ends.
func (k *Keyring) follow(ctx context.Context, feed KeyFeed) {
	k.doubtAll(true)
	lost := false
	err := feed.Changes(ctx, k.forgetKey,
		func(err error) {
			lost = true
			k.doubtAll(true)
			k.log.Warn("the key store is out of reach; known keys go on working, and changes made elsewhere are not seen until it is back", zap.Error(err))
		},
		func() {
			k.doubtAll(false)
			if lost {
				lost = false
				k.log.Info("the key store is back")
				return
			}
			k.log.Info("following changes of keys made by other gateways")
		})
	if ctx.Err() == nil {
		k.doubtAll(true)
		k.log.Error("following changes of keys", zap.Error(err))
	}
}

// forgetKey drops a key that somebody else changed: what is known of it is wrong, so it must not hold even where the store cannot be
// asked. Its secrets may be gone from the store, so they are found by the key; and since it may be new, no hash counts as unknown any
// more.
func (k *Keyring) forgetKey(id string) {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	k.version.Add(1)
	for hash, h := range k.known.All() {
		if h.key.ID == id {
			k.known.Invalidate(hash)
		}
	}
	k.unknown.InvalidateAll()
}
