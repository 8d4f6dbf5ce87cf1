package gateway

import (
	"context"

	"go.uber.org/zap"
)

// KeyFeed is implemented by key stores that several gateways share: it tells each of them what the others change.
type KeyFeed interface {
	// Changes reports changes of keys and teams, whichever gateway made them, until ctx ends or the store is closed, and returns why.
	Changes(ctx context.Context, to KeyListener) error
}

// KeyListener is told of changes. Its functions are called one at a time, and none of them may be nil.
type KeyListener struct {
	// Key is given the id of a key that was created, updated, rotated or deleted. It is not told of a last use.
	Key func(id string)
	// Team is given the name of a team whose record was created, updated or deleted.
	Team func(name string)
	// Lost is called once the store cannot tell of changes: what is known may be outdated from then on. The store goes on trying.
	Lost func(error)
	// Reset is called as the store begins to tell of changes, at first and after each loss: whatever was read from it before must
	// be read again before it is relied on.
	Reset func()
}

// follow keeps the keyring true to a store that others change too, until ctx ends.
func (k *Keyring) follow(ctx context.Context, feed KeyFeed) {
	k.doubtAll(true)
	lost := false
	err := feed.Changes(ctx, KeyListener{
		Key:  k.forgetKey,
		Team: k.forgetTeam,
		Lost: func(err error) {
			lost = true
			k.doubtAll(true)
			k.log.Warn("the key store is out of reach; known keys go on working, and changes made elsewhere are not seen until it is back", zap.Error(err))
		},
		Reset: func() {
			k.doubtAll(false)
			if lost {
				lost = false
				k.log.Info("the key store is back")
				return
			}
			k.log.Info("following changes of keys made by other gateways")
		},
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

// forgetTeam drops all keys of a team whose record changed, since they were read together with it.
func (k *Keyring) forgetTeam(name string) {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	k.version.Add(1)
	for hash, h := range k.known.All() {
		if h.key.Team == name {
			k.known.Invalidate(hash)
		}
	}
}
