package gateway

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

const (
	// knownKeys bounds how many keys are kept in memory; the least used ones are read from the store again.
	knownKeys = 100_000
	// unknownKeys bounds how many refused hashes are remembered, so that hammering does not reach the store.
	unknownKeys = 10_000
	// unknownFor is how long a refusal is remembered: a key made by another process works after that.
	unknownFor = time.Second
	// lookupTimeout bounds how long a first use waits for the store.
	lookupTimeout = 5 * time.Second
)

// Keyring tells who calls. It stands before the key store, so that a call with a known key touches no database.
// Both known and unknown secrets are looked up by their full SHA-256, at the same cost.
type Keyring struct {
	store   KeyStore
	admin   KeyHash // of the configured admin credential
	isAdmin bool    // whether one is configured
	log     *zap.Logger
	now     func() time.Time

	known     *otter.Cache[KeyHash, *held]
	unknown   *otter.Cache[KeyHash, time.Time] // until when a hash counts as unknown
	loads     singleflight.Group
	changes   sync.Mutex                // held while a key changes, so that its secrets stay those that are forgotten
	keeping   sync.Mutex                // held while what was read is kept, and while it is forgotten
	version   atomic.Uint64             // counts changes, so that a lookup that began before one is not kept after it
	deaf      atomic.Bool               // changes made elsewhere are not heard of
	silent    atomic.Pointer[time.Time] // when the store was last asked about a doubtful key in vain; nil once it answers
	believing atomic.Bool               // keys are taken as they were last known, and the log says so
	stored    atomic.Pointer[KeyHash]   // the admin credential that the gateway made

	mu   sync.Mutex
	used map[string]time.Time // last uses to be written
}

// held is a key in memory.
type held struct {
	key     *Key
	minute  atomic.Int64              // of its last use that was noted
	doubted atomic.Pointer[time.Time] // since when changes may have been missed; nil where none was
}

// NewKeyring puts a keyring before a store. The admin credential may be empty.
func NewKeyring(store KeyStore, admin string, log *zap.Logger) *Keyring {
	k := &Keyring{store: store, log: log, now: time.Now, used: make(map[string]time.Time)}
	if admin != "" {
		k.admin, k.isAdmin = HashKey(admin), true
	}
	k.known = otter.Must(&otter.Options[KeyHash, *held]{MaximumSize: knownKeys})
	k.unknown = otter.Must(&otter.Options[KeyHash, time.Time]{MaximumSize: unknownKeys})
	return k
}

// Find returns the key that a secret belongs to. ErrKeyNotFound where there is none that works; any other error
// means that the store could not be asked.
func (k *Keyring) Find(ctx context.Context, secret string) (*Key, error) {
	hash := HashKey(secret)
	now := k.now()
	h, ok := k.known.GetIfPresent(hash)
	var err error
	switch {
	case !ok:
		if until, ok := k.unknown.GetIfPresent(hash); ok && now.Before(until) {
			return nil, ErrKeyNotFound
		}
		h, err = k.load(ctx, hash, now)
	case k.doubtful(h, now):
		h, err = k.confirm(ctx, hash, h, now)
	}
	if err != nil {
		return nil, err
	}
	if !h.key.Usable(now) || h.key.retired(hash, now) {
		return nil, ErrKeyNotFound
	}
	k.touch(h, now)
	return h.key, nil
}

// retired says whether a hash was rotated away and its grace is over.
func (key *Key) retired(hash KeyHash, now time.Time) bool {
	for i := range key.Retiring {
		if key.Retiring[i].Hash == hash {
			return !now.Before(key.Retiring[i].Until)
		}
	}
	return false
}

// load reads a key from the store. Callers who want the same one share a read, and none of them can end it for the others.
func (k *Keyring) load(ctx context.Context, hash KeyHash, now time.Time) (*held, error) {
	version := k.version.Load()
	result := k.loads.DoChan(loadName(hash, version), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		key, err := k.store.KeyByHash(ctx, hash, now)
		switch {
		case errors.Is(err, ErrKeyNotFound):
			k.answered()
			k.keep(version, func() {
				k.known.Invalidate(hash)
				k.unknown.Set(hash, now.Add(unknownFor))
			})
			return nil, err
		case err != nil:
			return nil, err
		}
		k.answered()
		h := &held{key: key}
		k.keep(version, func() {
			if k.deaf.Load() {
				h.doubted.Store(&now)
			}
			k.known.Set(hash, h)
		})
		return h, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*held), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// loadName tells apart lookups that must not be shared.
func loadName(hash KeyHash, version uint64) string { return fmt.Sprintf("%x.%d", hash, version) }

// keep remembers what was read, unless somebody changed a key since the reading began: it may be old then.
func (k *Keyring) keep(version uint64, set func()) {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	if k.version.Load() == version {
		set()
	}
}

// touch notes a use, at most once a minute for each key.
func (k *Keyring) touch(h *held, now time.Time) {
	minute := now.Unix() / 60
	if last := h.minute.Load(); last == minute || !h.minute.CompareAndSwap(last, minute) {
		return
	}
	k.mu.Lock()
	k.used[h.key.ID] = time.Unix(minute*60, 0).UTC()
	k.mu.Unlock()
}

func (k *Keyring) flushEvery(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.flush(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// flush writes the last uses. What could not be written is kept for the next time.
func (k *Keyring) flush(ctx context.Context) {
	k.mu.Lock()
	used := k.used
	k.used = make(map[string]time.Time)
	k.mu.Unlock()
	if len(used) == 0 {
		return
	}
	if err := k.store.TouchKeys(ctx, used); err != nil {
		k.log.Warn("noting when keys were last used", zap.Error(err))
		k.mu.Lock()
		defer k.mu.Unlock()
		for id, at := range used {
			if _, newer := k.used[id]; !newer {
				k.used[id] = at
			}
		}
	}
}

// change applies a change to a key in the store and drops its secrets from memory. They are dropped where the change
// fails too, since a store that was cut off may have made it.
func (k *Keyring) change(ctx context.Context, id string, apply func() error) error {
	k.changes.Lock()
	defer k.changes.Unlock()
	hashes, err := k.store.HashesOf(ctx, id)
	if err != nil {
		return err
	}
	defer k.forget(hashes...)
	return apply()
}

// forget drops secrets from memory. It comes after the change in the store.
func (k *Keyring) forget(hashes ...KeyHash) {
	k.keeping.Lock()
	defer k.keeping.Unlock()
	k.version.Add(1)
	for _, hash := range hashes {
		k.known.Invalidate(hash)
		k.unknown.Invalidate(hash)
	}
}

// NewKey describes a key to be made.
type NewKey struct {
	Name    string
	Team    string
	Limits  []Limit // nil means DefaultKeyLimits
	Models  []string
	Expires time.Time
	// Secret is a given value, for an import; "" makes a fresh one.
	Secret string
}

// Create makes a key and returns its secret, which nobody can read again.
func (k *Keyring) Create(ctx context.Context, n NewKey) (*Key, string, error) {
	if n.Secret == "" {
		n.Secret = NewSecret(KeyPrefix)
	}
	key, hash := k.newKey(n), HashKey(n.Secret)
	if err := k.store.CreateKey(ctx, key, hash); err != nil {
		return nil, "", err
	}
	k.forget(hash)
	return key, n.Secret, nil
}

func (k *Keyring) newKey(n NewKey) *Key {
	if n.Limits == nil {
		n.Limits = DefaultKeyLimits()
	}
	return &Key{
		ID: NewKeyID(), Name: n.Name, Team: n.Team, Limits: n.Limits, Models: n.Models,
		Active: true, Created: k.now().UTC().Truncate(time.Second), Expires: n.Expires.UTC().Truncate(time.Second),
	}
}

// NewKeyID makes a public id.
func NewKeyID() string {
	id := uuid.New()
	return fmt.Sprintf("key_%x", id[:12])
}

// Import makes a key of a given secret. Where that secret is a key already, it returns that key unchanged, and false.
func (k *Keyring) Import(ctx context.Context, n NewKey) (*Key, bool, error) {
	if !WellFormedKey(n.Secret) {
		return nil, false, fmt.Errorf("a key is %s and 64 lowercase hexadecimal digits", KeyPrefix)
	}
	key, _, err := k.Create(ctx, n)
	if errors.Is(err, ErrKeyExists) {
		key, err = k.store.KeyByHash(ctx, HashKey(n.Secret), k.now())
		return key, false, err
	}
	return key, true, err
}

// Key finds a key by its id.
func (k *Keyring) Key(ctx context.Context, id string) (*Key, error) { return k.store.KeyByID(ctx, id) }

// Keys lists keys in order of creation, up to limit of them after the one with the id after.
func (k *Keyring) Keys(ctx context.Context, after string, limit int) ([]*Key, error) {
	return k.store.ListKeys(ctx, after, limit)
}

// Update changes a key. The change holds for the very next call.
func (k *Keyring) Update(ctx context.Context, id string, change KeyChange) (key *Key, err error) {
	err = k.change(ctx, id, func() error {
		key, err = k.store.UpdateKey(ctx, id, change)
		return err
	})
	return key, err
}

// Revoke ends a key until it is activated again.
func (k *Keyring) Revoke(ctx context.Context, id string) (*Key, error) {
	off := false
	return k.Update(ctx, id, KeyChange{Active: &off})
}

// Activate lets a revoked key work again.
func (k *Keyring) Activate(ctx context.Context, id string) (*Key, error) {
	on := true
	return k.Update(ctx, id, KeyChange{Active: &on})
}

// Rotate gives a key a fresh secret. The former one works for the grace period.
func (k *Keyring) Rotate(ctx context.Context, id string, grace time.Duration) (key *Key, secret string, err error) {
	secret = NewSecret(KeyPrefix)
	err = k.change(ctx, id, func() error {
		key, err = k.store.RotateKey(ctx, id, HashKey(secret), k.now().Add(grace))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return key, secret, nil
}

// Delete removes a key for good.
func (k *Keyring) Delete(ctx context.Context, id string) error {
	return k.change(ctx, id, func() error { return k.store.DeleteKey(ctx, id) })
}

// Admin says whether a secret is the admin credential: the configured one, else the one that the gateway made.
func (k *Keyring) Admin(ctx context.Context, secret string) (bool, error) {
	hash := HashKey(secret)
	if k.isAdmin {
		return subtle.ConstantTimeCompare(hash[:], k.admin[:]) == 1, nil
	}
	stored := k.stored.Load()
	if stored == nil {
		h, ok, err := k.store.AdminHash(ctx)
		if err != nil || !ok {
			return false, err
		}
		k.stored.Store(&h)
		stored = &h
	}
	return subtle.ConstantTimeCompare(hash[:], stored[:]) == 1, nil
}

// Ping tells whether the store answers.
func (k *Keyring) Ping(ctx context.Context) error { return k.store.Ping(ctx) }
