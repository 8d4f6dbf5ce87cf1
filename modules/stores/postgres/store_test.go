package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsAKeyStore(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) gateway.KeyStore { return patientStore(t, shared.newDatabase(t)) })
}

// patientStore makes a store that gives a busy machine more time to let it log in.
func patientStore(t testing.TB, url string) *Store {
	t.Helper()
	store, err := New(url)
	if err != nil {
		t.Fatal(err)
	}
	store.config.ConnConfig.ConnectTimeout = max(store.config.ConnConfig.ConnectTimeout, 20*time.Second)
	return store
}

// openStore makes a store that is closed with its test.
func openStore(t testing.TB, url string) *Store {
	t.Helper()
	store := patientStore(t, url)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return store
}

func newStore(t testing.TB) *Store { return openStore(t, shared.newDatabase(t)) }

func newHash() gateway.KeyHash { return gateway.HashKey(gateway.NewSecret(gateway.KeyPrefix)) }

func createKey(t testing.TB, store *Store) (*gateway.Key, gateway.KeyHash) {
	t.Helper()
	key := &gateway.Key{
		ID: gateway.NewSecret("key_"), Name: "ci", Limits: gateway.DefaultKeyLimits(), Active: true,
		Created: time.Now().UTC().Truncate(time.Second),
	}
	hash := newHash()
	if err := store.CreateKey(t.Context(), key, hash); err != nil {
		t.Fatal(err)
	}
	return key, hash
}

func TestUnopenedStoreTouchesNothing(t *testing.T) {
	store, err := New("postgres://nobody@192.0.2.1/nothing") // no host has this address: RFC 5737
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if err := store.Ping(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("pinging a closed store: got error %v, want %v", err, errClosed)
	}
}

func TestGatewaysMayStartAtOnce(t *testing.T) {
	url := shared.newDatabase(t)
	stores := make([]*Store, 8)
	var group sync.WaitGroup
	for i := range stores {
		stores[i] = openStore(t, url)
		group.Go(func() {
			key := &gateway.Key{ID: fmt.Sprint("key_", i), Active: true, Created: time.Now()}
			if err := stores[i].CreateKey(t.Context(), key, newHash()); err != nil {
				t.Errorf("creating key: %v", err)
			}
		})
	}
	group.Wait()
	for _, store := range stores {
		if count, err := store.CountKeys(t.Context()); err != nil || count != len(stores) {
			t.Errorf("got %d keys and error %v, want %d", count, err, len(stores))
		}
	}
}

func TestReopenedDatabaseKeepsItsKeys(t *testing.T) {
	url := shared.newDatabase(t)
	store := openStore(t, url)
	key, hash := createKey(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := openStore(t, url).KeyByHash(t.Context(), hash, time.Now()); err != nil || got.ID != key.ID {
		t.Errorf("got %+v and error %v, want key %s", got, err, key.ID)
	}
}

// Each rotation must retire the secret that the one before it made.
func TestGatewaysRotateOneKeyAtOnce(t *testing.T) {
	first := newStore(t)
	key, hash := createKey(t, first)
	stores := []*Store{first}
	for range 3 {
		stores = append(stores, openStore(t, first.config.ConnString()))
	}
	want := []gateway.KeyHash{hash}
	until := time.Now().Add(time.Hour)
	var group sync.WaitGroup
	for _, store := range stores {
		hashes := []gateway.KeyHash{newHash(), newHash(), newHash()}
		want = append(want, hashes...)
		group.Go(func() {
			for _, hash := range hashes {
				if _, err := store.RotateKey(t.Context(), key.ID, hash, until); err != nil {
					t.Errorf("rotating: %v", err)
				}
			}
		})
	}
	group.Wait()
	got, err := first.HashesOf(t.Context(), key.ID)
	order := func(a, b gateway.KeyHash) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d hashes and error %v, want %d", len(got), err, len(want))
	}
	if got, err := first.KeyByID(t.Context(), key.ID); err != nil || len(got.Retiring) != len(want)-1 {
		t.Errorf("got %+v and error %v, want %d retiring secrets", got, err, len(want)-1)
	}
}

func TestGatewaysTouchTheSameKeysAtOnce(t *testing.T) {
	first := newStore(t)
	stores := []*Store{first, openStore(t, first.config.ConnString())}
	var ids []string
	for range 100 {
		key, _ := createKey(t, first)
		ids = append(ids, key.ID)
	}
	var group sync.WaitGroup
	for i, store := range stores {
		group.Go(func() {
			for minute := range 50 {
				used := make(map[string]time.Time)
				for _, id := range ids {
					used[id] = time.Unix(int64(60*(2*minute+i+1)), 0)
				}
				if err := store.TouchKeys(t.Context(), used); err != nil {
					t.Errorf("touching: %v", err)
				}
			}
		})
	}
	group.Wait()
	keys, err := first.ListKeys(t.Context(), "", len(ids))
	if err != nil || len(keys) != len(ids) {
		t.Fatalf("got %d keys and error %v", len(keys), err)
	}
	for _, key := range keys {
		if want := time.Unix(60*100, 0).UTC(); key.LastUsed != want {
			t.Errorf("got last use %v, want %v", key.LastUsed, want)
		}
	}
}

// Gateways that lock the keys of a batch in different orders would sooner or later wait for each other.
func TestUsesAreRecordedInOrderOfIDs(t *testing.T) {
	// With such plans keys are met in the order in which they are reported, which a map makes differ each time.
	store := openStore(t, shared.newDatabase(t)+"?enable_hashjoin=off&enable_mergejoin=off&enable_seqscan=off")
	used := make(map[string]time.Time)
	first := "key_~" // after all ids
	for range 50 {
		key, _ := createKey(t, store)
		used[key.ID] = time.Now()
		first = min(first, key.ID)
	}
	url := store.config.ConnString()
	holder, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), lockKey, first); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- store.TouchKeys(t.Context(), used) }()

	other := connect(t, url)
	for waiting := false; !waiting; {
		if err := other.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	var free int
	if err := other.QueryRow(t.Context(), `SELECT count(*) FROM
		(SELECT 1 FROM keys WHERE id <> $1 FOR NO KEY UPDATE SKIP LOCKED) AS unlocked`, first).Scan(&free); err != nil {
		t.Fatal(err)
	}
	if free != len(used)-1 {
		t.Errorf("%d keys are locked by who waits for the first one", len(used)-1-free)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestManyUsesAreRecordedInBatches(t *testing.T) {
	store := newStore(t)
	key, _ := createKey(t, store)
	use := time.Now().UTC().Truncate(time.Minute)
	used := map[string]time.Time{key.ID: use}
	for i := range 2 * touchBatch {
		used[fmt.Sprint("key_", i)] = use
	}
	if err := store.TouchKeys(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if got, err := store.KeyByID(t.Context(), key.ID); err != nil || got.LastUsed != use {
		t.Errorf("got %+v and error %v, want last use %v", got, err, use)
	}
}

func TestWaitingForALockHonoursTheContext(t *testing.T) {
	store := newStore(t)
	key, _ := createKey(t, store)
	other, err := connect(t, store.config.ConnString()).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), lockKey, key.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := store.DeleteKey(ctx, key.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded", err)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.DeleteKey(t.Context(), key.ID); err != nil {
		t.Errorf("deleting again: %v", err)
	}
}

func TestRotationForgetsSecretsThatAreOver(t *testing.T) {
	store := newStore(t)
	now := time.Now().Truncate(time.Second)
	store.now = func() time.Time { return now }
	key, first := createKey(t, store)
	second, third := newHash(), newHash()
	if _, err := store.RotateKey(t.Context(), key.ID, second, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if got, err := store.HashesOf(t.Context(), key.ID); err != nil || !slices.Equal(got, []gateway.KeyHash{second, first}) {
		t.Errorf("before rotating: got hashes %x and error %v", got, err)
	}
	if _, err := store.RotateKey(t.Context(), key.ID, third, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.HashesOf(t.Context(), key.ID); err != nil || !slices.Equal(got, []gateway.KeyHash{third, second}) {
		t.Errorf("after rotating: got hashes %x and error %v", got, err)
	}
}

func TestDamagedColumnIsAnError(t *testing.T) {
	for name, damage := range map[string]string{
		"limits":        `UPDATE keys SET limits = '[{"kind":'`,
		"models":        `UPDATE keys SET models = '{}'`,
		"retiring hash": `ALTER TABLE secrets DROP CONSTRAINT secrets_hash_check; UPDATE secrets SET hash = '' WHERE until IS NOT NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			key, _ := createKey(t, store)
			if _, err := store.RotateKey(t.Context(), key.ID, newHash(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			execute(t, store.config.ConnString(), damage)
			if got, err := store.KeyByID(t.Context(), key.ID); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

func BenchmarkKeyByHash(b *testing.B) {
	storetest.BenchmarkKeyByHash(b, newStore(b))
}
