package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsAKeyStore(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) gateway.KeyStore { return New(filepath.Join(t.TempDir(), "keys.db")) })
}

// openStore makes a store that is closed with its test.
func openStore(t testing.TB, path string) *Store {
	store := New(path)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return store
}

func newStore(t testing.TB) *Store { return openStore(t, filepath.Join(t.TempDir(), "keys.db")) }

// handles reaches the connections of a store.
func handles(t testing.TB, store *Store) *database {
	t.Helper()
	db, err := store.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func createKey(t testing.TB, store *Store) (*gateway.Key, gateway.KeyHash) {
	t.Helper()
	key := &gateway.Key{
		ID: gateway.NewSecret("key_"), Name: "ci", Limits: gateway.DefaultKeyLimits(), Active: true, Created: time.Now(),
	}
	hash := newHash()
	if err := store.CreateKey(t.Context(), key, hash); err != nil {
		t.Fatal(err)
	}
	return key, hash
}

func TestUnopenedStoreTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "keys.db")
	store := New(path)
	if store.Path() != path {
		t.Errorf("got path %q, want %q", store.Path(), path)
	}
	if err := store.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("got files %v and error %v, want none", entries, err)
	}
	if err := store.Ping(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("pinging a closed store: got error %v, want %v", err, errClosed)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "llm", "keys.db")
	createKey(t, openStore(t, path))
	for name, want := range map[string]fs.FileMode{
		filepath.Dir(filepath.Dir(path)): 0o700, filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %v, want %v", name, got, want)
		}
	}
}

func TestExistingFileKeepsItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	createKey(t, openStore(t, path))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v and error %v, want mode 0640", info.Mode(), err)
	}
}

func TestPathIsTakenLiterally(t *testing.T) {
	dir := t.TempDir()
	name := "clés ?mode=memory&vfs=none#1%20;.db"
	createKey(t, openStore(t, filepath.Join(dir, name)))
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		t.Error(err)
	}
}

func TestReopenedFileKeepsItsKeys(t *testing.T) {
	store := newStore(t)
	key, hash := createKey(t, store)
	admin := newHash()
	if _, err := store.SetAdminHash(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(store.Path() + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the -wal file outlives the store: %v", err)
	}

	again := openStore(t, store.Path())
	if got, err := again.KeyByHash(t.Context(), hash, time.Now()); err != nil || got.ID != key.ID {
		t.Errorf("got %+v and error %v, want key %s", got, err, key.ID)
	}
	if got, found, err := again.AdminHash(t.Context()); err != nil || !found || got != admin {
		t.Errorf("got admin hash %x, %v and error %v", got, found, err)
	}
}

func TestStoresShareAFile(t *testing.T) {
	const each = 20
	first := newStore(t)
	second := openStore(t, first.Path())
	var group sync.WaitGroup
	for _, pair := range [][2]*Store{{first, second}, {second, first}} {
		group.Go(func() {
			for range each {
				key := &gateway.Key{ID: gateway.NewSecret("key_"), Active: true, Created: time.Now()}
				hash := newHash()
				if err := pair[0].CreateKey(t.Context(), key, hash); err != nil {
					t.Errorf("creating key: %v", err)
				} else if _, err := pair[1].KeyByHash(t.Context(), hash, time.Now()); err != nil {
					t.Errorf("finding the other store's key: %v", err)
				}
			}
		})
	}
	group.Wait()
	for _, store := range []*Store{first, second} {
		if count, err := store.CountKeys(t.Context()); err != nil || count != 2*each {
			t.Errorf("got %d keys and error %v, want %d", count, err, 2*each)
		}
	}
}

func TestOpeningIsTriedAgain(t *testing.T) {
	obstacle := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, filepath.Join(obstacle, "keys.db"))
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), store.Path()) {
		t.Errorf("got error %v, want one that names the file", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("opening again: %v", err)
	}
}

// A file that another program holds in exclusive use makes opening wait, but no longer than the caller would.
func TestOpeningWaitsForALockAsLongAsItsContext(t *testing.T) {
	store := newStore(t)
	if err := createFile(store.Path()); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", store.Path()+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := store.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded", err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("opening again: %v", err)
	}
}

func TestWaitingForAnotherCallToOpenHonoursItsContext(t *testing.T) {
	store := newStore(t)
	store.turn <- struct{}{} // as if another call were opening
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	<-store.turn
}

func TestSecretNeverReachesTheDisk(t *testing.T) {
	store := newStore(t)
	secret, next := gateway.NewSecret(gateway.KeyPrefix), gateway.NewSecret(gateway.KeyPrefix)
	admin := gateway.NewSecret(gateway.AdminKeyPrefix)
	key := &gateway.Key{ID: "key_1", Active: true, Created: time.Now()}
	if err := store.CreateKey(t.Context(), key, gateway.HashKey(secret)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.RotateKey(t.Context(), key.ID, gateway.HashKey(next), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.SetAdminHash(t.Context(), gateway.HashKey(admin)); err != nil {
		t.Fatal(err)
	}
	wal := readFile(t, store.Path()+"-wal")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"-wal file": wal, "database file": readFile(t, store.Path())} {
		for _, text := range []string{secret, next, admin} {
			hash := gateway.HashKey(text)
			if !bytes.Contains(content, hash[:]) {
				t.Errorf("the %s lacks a hash: the test looks in the wrong place", name)
			}
			_, digits, _ := strings.Cut(text, "_")
			if bytes.Contains(content, []byte(digits)) {
				t.Errorf("the %s holds a secret", name)
			}
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
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
	if got, err := store.KeyByID(t.Context(), key.ID); err != nil || len(got.Retiring) > 0 {
		t.Errorf("got %+v and error %v, want no retiring secret once its time is over", got, err)
	}
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
