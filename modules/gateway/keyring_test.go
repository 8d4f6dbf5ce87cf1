package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// ring is a keyring before a fake store, with a clock that the test moves.
type ring struct {
	*Keyring
	t     testing.TB
	store *fakeKeys
	clock time.Time
}

func newRing(t testing.TB) *ring {
	r := &ring{t: t, store: newFakeKeys(), clock: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
	r.Keyring = NewKeyring(r.store, "", zap.NewNop())
	r.Keyring.now = func() time.Time { return r.clock }
	return r
}

func (r *ring) create(n NewKey) (*Key, string) {
	r.t.Helper()
	key, secret, err := r.Create(r.t.Context(), n)
	if err != nil {
		r.t.Fatal(err)
	}
	return key, secret
}

// works fails the test where a secret does not belong to a key, or belongs to another one.
func (r *ring) works(secret string, key *Key) {
	r.t.Helper()
	found, err := r.Find(r.t.Context(), secret)
	if err != nil {
		r.t.Fatalf("the key does not work: %v", err)
	}
	if found.ID != key.ID {
		r.t.Fatalf("the key is %s's, not %s's", found.ID, key.ID)
	}
}

func (r *ring) fails(secret string) {
	r.t.Helper()
	if key, err := r.Find(r.t.Context(), secret); !errors.Is(err, ErrKeyNotFound) || key != nil {
		r.t.Fatalf("the key works: %v, %v", key, err)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestAKnownKeyTouchesTheStoreOnce(t *testing.T) {
	r := newRing(t)
	key, secret := r.create(NewKey{Name: "a"})
	for range 1000 {
		r.works(secret, key)
		r.clock = r.clock.Add(time.Minute)
	}
	if n := r.store.count(); n != 1 {
		t.Errorf("the store was read %d times", n)
	}
}

func TestAnUnknownKeyTouchesTheStoreOnceASecond(t *testing.T) {
	r := newRing(t)
	secret := NewSecret(KeyPrefix)
	for range 10 {
		r.fails(secret)
		r.clock = r.clock.Add(unknownFor/10 - 1)
	}
	if n := r.store.count(); n != 1 {
		t.Errorf("the store was read %d times within a second", n)
	}
	r.clock = r.clock.Add(10)
	r.fails(secret)
	if n := r.store.count(); n != 2 {
		t.Errorf("the store was read %d times after a second", n)
	}
}

func TestAKeyWorksAsSoonAsItIsMade(t *testing.T) {
	r := newRing(t)
	secret := NewSecret(KeyPrefix)
	r.fails(secret)
	key, isNew, err := r.Import(t.Context(), NewKey{Secret: secret})
	if err != nil || !isNew {
		t.Fatalf("importing: new %t, %v", isNew, err)
	}
	r.works(secret, key)

	again, isNew, err := r.Import(t.Context(), NewKey{Secret: secret, Name: "again"})
	if err != nil || isNew || again.ID != key.ID {
		t.Errorf("importing again gave %v, new %t, %v", again, isNew, err)
	}
	if _, _, err := r.Import(t.Context(), NewKey{Secret: "sp_short"}); err == nil {
		t.Error("a malformed secret was imported")
	}
}

func TestChangesHoldForTheVeryNextCall(t *testing.T) {
	r := newRing(t)
	key, secret := r.create(NewKey{})
	r.works(secret, key)

	must[*Key](t)(r.Revoke(t.Context(), key.ID))
	r.fails(secret)
	must[*Key](t)(r.Activate(t.Context(), key.ID))
	r.works(secret, key)

	name := "renamed"
	must[*Key](t)(r.Update(t.Context(), key.ID, KeyChange{Name: &name}))
	if found := must[*Key](t)(r.Find(t.Context(), secret)); found.Name != name {
		t.Errorf("the name is %q", found.Name)
	}

	if err := r.Delete(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	r.fails(secret)
	for name, err := range map[string]error{
		"deleting": r.Delete(t.Context(), key.ID),
		"revoking": func() error { _, err := r.Revoke(t.Context(), key.ID); return err }(),
		"rotating": func() error { _, _, err := r.Rotate(t.Context(), key.ID, 0); return err }(),
	} {
		if !errors.Is(err, ErrKeyNotFound) {
			t.Errorf("%s what is gone: %v", name, err)
		}
	}
}

func TestExpiryIsExact(t *testing.T) {
	r := newRing(t)
	expires := r.clock.Add(time.Hour)
	key, secret := r.create(NewKey{Expires: expires})
	r.works(secret, key)
	r.clock = expires.Add(-1)
	r.works(secret, key)
	r.clock = expires
	r.fails(secret)

	never := time.Time{}
	must[*Key](t)(r.Update(t.Context(), key.ID, KeyChange{Expires: &never}))
	r.works(secret, key)
}

func TestGraceOfARotatedSecretIsExact(t *testing.T) {
	r := newRing(t)
	key, first := r.create(NewKey{})
	r.works(first, key)
	_, second, err := r.Rotate(t.Context(), key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.works(first, key)
	r.works(second, key)
	r.clock = r.clock.Add(time.Hour - 1)
	r.works(first, key)
	r.clock = r.clock.Add(1)
	r.fails(first)
	r.works(second, key)

	_, third, err := r.Rotate(t.Context(), key.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.fails(second)
	r.works(third, key)

	// A revoked key ends with all of its secrets.
	_, fourth, err := r.Rotate(t.Context(), key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.works(third, key)
	must[*Key](t)(r.Revoke(t.Context(), key.ID))
	r.fails(third)
	r.fails(fourth)
}

func TestALookupThatBeganBeforeAChangeIsNotKept(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *ring, id string) error
	}{
		{"revoked", func(r *ring, id string) error { _, err := r.Revoke(r.t.Context(), id); return err }},
		{"deleted", func(r *ring, id string) error { return r.Delete(r.t.Context(), id) }},
		{"rotated", func(r *ring, id string) error { _, _, err := r.Rotate(r.t.Context(), id, 0); return err }},
		{"revoked by a store that then fails", func(r *ring, id string) error {
			r.store.fails = func() error { return errBroken }
			defer func() { r.store.fails = nil }()
			if _, err := r.Revoke(r.t.Context(), id); !errors.Is(err, errBroken) {
				return fmt.Errorf("the error is %w", err)
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t)
			key, secret := r.create(NewKey{})
			r.store.read = func() { // the store has read the key; before it returns, the key changes
				r.store.read = nil
				if err := tt.change(r, key.ID); err != nil {
					t.Error(err)
				}
			}
			r.Find(t.Context(), secret) //nolint:errcheck // began before the change: either is right
			r.fails(secret)
		})
	}
	t.Run("made", func(t *testing.T) {
		r := newRing(t)
		secret := NewSecret(KeyPrefix)
		var key *Key
		r.store.read = func() {
			r.store.read = nil
			key, _ = r.create(NewKey{Secret: secret})
		}
		r.fails(secret)
		r.works(secret, key)
	})
}

func TestAChangeThatFailsIsForgottenToo(t *testing.T) {
	r := newRing(t)
	key, secret := r.create(NewKey{})
	r.works(secret, key)
	r.store.fails = func() error { return errBroken } // after the change was made
	if _, err := r.Revoke(t.Context(), key.ID); !errors.Is(err, errBroken) {
		t.Fatalf("the error is %v", err)
	}
	r.store.fails = nil
	r.fails(secret)
}

func TestCallersShareALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t)
		key, secret := r.create(NewKey{})
		proceed := make(chan struct{})
		r.store.read = func() { <-proceed }
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { r.works(secret, key) })
		}
		synctest.Wait()

		// One who leaves does not wait, and does not end it for the others.
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := r.Find(ctx, secret); !errors.Is(err, context.Canceled) {
			t.Errorf("who left is told %v", err)
		}
		close(proceed)
		wg.Wait()
		if n := r.store.count(); n != 1 {
			t.Errorf("the store was read %d times", n)
		}
	})
}

func TestTheLookupOutlivesWhoBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t)
		key, secret := r.create(NewKey{})
		proceed := make(chan struct{})
		r.store.read = func() { <-proceed }
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.Find(ctx, secret); !errors.Is(err, context.Canceled) {
				t.Errorf("who left is told %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { r.works(secret, key) })
		synctest.Wait()
		leave()
		synctest.Wait()
		close(proceed)
		wg.Wait()
		if n := r.store.count(); n != 1 {
			t.Errorf("the store was read %d times", n)
		}
	})
}

func TestAStoreThatFailsIsNotAnUnknownKey(t *testing.T) {
	r := newRing(t)
	key, secret := r.create(NewKey{})
	r.store.fails = func() error { return errBroken }
	for range 2 {
		if _, err := r.Find(t.Context(), secret); !errors.Is(err, errBroken) || errors.Is(err, ErrKeyNotFound) {
			t.Fatalf("the error is %v", err)
		}
	}
	r.store.fails = nil
	r.works(secret, key) // at once, without a restart
	r.store.fails = func() error { return errBroken }
	r.works(secret, key) // what is known works on
}

func TestKeysWithALongCommonPrefixAreStrangers(t *testing.T) {
	r := newRing(t)
	prefix := KeyPrefix + strings.Repeat("a", 40)
	first, firstSecret := r.create(NewKey{Secret: prefix + strings.Repeat("0", 24)})
	second, secondSecret := r.create(NewKey{Secret: prefix + strings.Repeat("0", 23) + "1"})
	for range 2 {
		r.works(firstSecret, first)
		r.works(secondSecret, second)
	}
	for _, stranger := range []string{prefix, prefix + strings.Repeat("0", 23) + "2", firstSecret + "0", strings.ToUpper(firstSecret)} {
		r.fails(stranger)
	}
	must[*Key](t)(r.Revoke(t.Context(), first.ID))
	r.works(secondSecret, second)
}

func TestLastUsesAreWrittenInBatches(t *testing.T) {
	r := newRing(t)
	a, aSecret := r.create(NewKey{})
	b, bSecret := r.create(NewKey{})
	for range 5 {
		r.works(aSecret, a)
	}
	r.works(bSecret, b)
	r.flush(t.Context())
	r.flush(t.Context())
	minute := r.clock
	want := map[string]time.Time{a.ID: minute, b.ID: minute}
	if len(r.store.touched) != 1 || !maps.Equal(r.store.touched[0], want) {
		t.Fatalf("written are %v, want one batch of %v", r.store.touched, want)
	}

	r.clock = minute.Add(59 * time.Second)
	r.works(aSecret, a)
	r.flush(t.Context())
	r.clock = minute.Add(time.Minute)
	r.works(aSecret, a)
	r.flush(t.Context())
	if len(r.store.touched) != 2 || !r.store.touched[1][a.ID].Equal(minute.Add(time.Minute)) {
		t.Errorf("written are %v", r.store.touched)
	}
}

func TestLastUsesAreWrittenAgainWhereTheStoreFailed(t *testing.T) {
	r := newRing(t)
	a, aSecret := r.create(NewKey{})
	b, bSecret := r.create(NewKey{})
	r.works(aSecret, a)
	r.works(bSecret, b)
	first := r.clock
	r.store.fails = func() error { // a use is noted while the batch is on its way
		r.store.fails = nil
		r.clock = r.clock.Add(time.Minute)
		r.touch(must2(r.known.GetIfPresent(HashKey(aSecret))), r.clock)
		return errBroken
	}
	r.flush(t.Context())
	r.flush(t.Context())
	want := map[string]time.Time{a.ID: first.Add(time.Minute), b.ID: first}
	if len(r.store.touched) != 1 || !maps.Equal(r.store.touched[0], want) {
		t.Errorf("written are %v, want %v", r.store.touched, want)
	}
}

func must2[T any](v T, ok bool) T {
	if !ok {
		panic("it is not there")
	}
	return v
}

func TestLastUsesAreWrittenOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t)
		key, secret := r.create(NewKey{})
		r.works(secret, key)
		ctx, stop := context.WithCancel(t.Context())
		go r.flushEvery(ctx, 10*time.Second)
		time.Sleep(11 * time.Second) // of the bubble's own time
		synctest.Wait()
		if len(r.store.touched) != 1 {
			t.Errorf("%d batches are written", len(r.store.touched))
		}
		stop()
	})
}

func TestAdminKnowsOneCredential(t *testing.T) {
	admin := func(k *Keyring, secret string) bool { return must[bool](t)(k.Admin(t.Context(), secret)) }
	r := newRing(t)
	if admin(r.Keyring, "") || admin(r.Keyring, "x") {
		t.Error("anybody is the admin where there is none")
	}
	made := NewSecret(AdminKeyPrefix)
	must[bool](t)(r.store.SetAdminHash(t.Context(), HashKey(made)))
	if !admin(r.Keyring, made) || admin(r.Keyring, made+"x") || admin(r.Keyring, "") {
		t.Error("the admin is not who has the credential that was made")
	}
	r.store.fails = func() error { return errBroken }
	if !admin(r.Keyring, made) {
		t.Error("the admin is asked of the store each time")
	}

	configured := NewKeyring(r.store, "configured", zap.NewNop())
	if !admin(configured, "configured") || admin(configured, made) {
		t.Error("the configured credential does not stand before the one that was made")
	}
	unread := NewKeyring(r.store, "", zap.NewNop())
	if ok, err := unread.Admin(t.Context(), made); ok || !errors.Is(err, errBroken) {
		t.Errorf("a store that fails says %t, %v", ok, err)
	}
}

func TestAKeyringServesManyAtOnce(t *testing.T) {
	r := newRing(t)
	secrets := make([]string, 8)
	keys := make([]*Key, len(secrets))
	for i := range secrets {
		keys[i], secrets[i] = r.create(NewKey{})
	}
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			for range 200 {
				if key, err := r.Find(t.Context(), secrets[i]); err == nil && key.ID != keys[i].ID {
					t.Errorf("the key is %s's, not %s's", key.ID, keys[i].ID)
				}
				r.Find(t.Context(), NewSecret(KeyPrefix)) //nolint:errcheck // unknown
			}
		})
		wg.Go(func() {
			for range 50 {
				must[*Key](t)(r.Revoke(t.Context(), keys[i].ID))
				r.fails(secrets[i])
				must[*Key](t)(r.Activate(t.Context(), keys[i].ID))
				r.works(secrets[i], keys[i])
				r.flush(t.Context())
			}
		})
	}
	wg.Wait()
}

func BenchmarkFindKnownKey(b *testing.B) {
	r := newRing(b)
	_, secret := r.create(NewKey{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Find(ctx, secret); err != nil {
			b.Fatal(err)
		}
	}
}

// fakeFeed tells what the test has it tell.
type fakeFeed struct {
	KeyListener
	ready chan struct{}
}

func (f *fakeFeed) Changes(ctx context.Context, to KeyListener) error {
	f.KeyListener = to
	close(f.ready)
	<-ctx.Done()
	return ctx.Err()
}

// followed is the feed that a keyring follows until the test's end.
func followed(t *testing.T, k *Keyring) *fakeFeed {
	feed := &fakeFeed{ready: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		k.follow(ctx, feed)
	}()
	t.Cleanup(func() { stop(); <-over })
	<-feed.ready
	return feed
}

func TestAChangeMadeElsewhereIsSeenThroughTheFeed(t *testing.T) {
	store := newFakeKeys()
	here, there := NewKeyring(store, "", zap.NewNop()), NewKeyring(store, "", zap.NewNop())
	feed := followed(t, here)

	key, secret, err := there.Create(t.Context(), NewKey{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	find := func() error { _, err := here.Find(t.Context(), secret); return err }
	if err := find(); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	if err := find(); err != nil {
		t.Errorf("before it is told of the change, the keyring knows the key: %v", err)
	}
	feed.Key(key.ID)
	if err := find(); !errors.Is(err, ErrKeyNotFound) {
		t.Errorf("after it was told: %v", err)
	}
	if _, err := there.Activate(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	feed.Lost(errors.New("gone"))
	feed.Reset()
	if err := find(); err != nil {
		t.Errorf("after a loss everything is read again: %v", err)
	}
}
