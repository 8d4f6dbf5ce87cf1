package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// follower gathers what a feed tells, as text.
type follower struct {
	*testing.T
	told chan string
	stop context.CancelFunc
	end  chan error
}

const (
	wasReset = "reset"
	wasLost  = "lost"
)

// follow starts a feed, which ends with its test.
func follow(t *testing.T, store *Store) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{T: t, told: make(chan string, 100), stop: cancel, end: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.end <- store.Changes(ctx, gateway.KeyListener{
			Key:  func(id string) { f.told <- id },
			Team: func(name string) { f.told <- "team " + name },
			Lost: func(err error) {
				if err == nil || strings.Contains(err.Error(), password) {
					t.Errorf("lost with error %v", err)
				}
				f.told <- wasLost
			},
			Reset: func() { f.told <- wasReset },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// expect waits for the next news.
func (f *follower) expect(want string, within time.Duration) {
	f.Helper()
	select {
	case got := <-f.told:
		if got != want {
			f.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(within):
		f.Fatalf("got nothing within %v, want %q", within, want)
	}
}

func TestEveryChangeReachesOtherGateways(t *testing.T) {
	here := newStore(t)
	feed := follow(t, openStore(t, here.config.ConnString()))
	feed.expect(wasReset, 10*time.Second)

	key, _ := createKey(t, here)
	feed.expect(key.ID, time.Second)
	for name, change := range map[string]func() error{
		"update": func() error {
			_, err := here.UpdateKey(t.Context(), key.ID, gateway.KeyChange{Active: new(false)})
			return err
		},
		"rotate": func() error {
			_, err := here.RotateKey(t.Context(), key.ID, newHash(), time.Now())
			return err
		},
	} {
		if err := change(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		feed.expect(key.ID, time.Second)
	}
	if err := here.DeleteKey(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	feed.expect(key.ID, time.Second)

	for i, change := range []func() error{
		func() error { return here.CreateTeam(t.Context(), &gateway.Team{Name: "red", Active: true}) },
		func() error {
			_, err := here.UpdateTeam(t.Context(), "red", gateway.TeamChange{Active: new(false)})
			return err
		},
		func() error { return here.DeleteTeam(t.Context(), "red") },
	} {
		if err := change(); err != nil {
			t.Fatalf("change %d of a team: %v", i, err)
		}
		feed.expect("team red", time.Second)
	}
}

func TestWhatChangesNothingTellsNothing(t *testing.T) {
	store := newStore(t)
	key, hash := createKey(t, store)
	if err := store.CreateTeam(t.Context(), &gateway.Team{Name: key.Team}); err != nil {
		t.Fatal(err)
	}
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)

	if err := store.TouchKeys(t.Context(), map[string]time.Time{key.ID: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateKey(t.Context(), &gateway.Key{ID: "key_2"}, hash); !errors.Is(err, gateway.ErrKeyExists) {
		t.Fatal(err)
	}
	if _, err := store.RotateKey(t.Context(), key.ID, hash, time.Now()); !errors.Is(err, gateway.ErrKeyExists) {
		t.Fatal(err)
	}
	if err := store.DeleteKey(t.Context(), "key_3"); !errors.Is(err, gateway.ErrKeyNotFound) {
		t.Fatal(err)
	}
	if err := store.CreateTeam(t.Context(), &gateway.Team{Name: key.Team}); !errors.Is(err, gateway.ErrTeamExists) {
		t.Fatal(err)
	}
	if err := store.DeleteTeam(t.Context(), key.Team); !errors.Is(err, gateway.ErrTeamInUse) {
		t.Fatal(err)
	}
	last, _ := createKey(t, store)
	feed.expect(last.ID, time.Second) // and nothing before it
}

// A change after reset is never missed, so what is read after reset and dropped when told is never outdated.
func TestFeedMissesNothingAfterReset(t *testing.T) {
	store := newStore(t)
	createKey(t, store)
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	for range 90 {
		key, _ := createKey(t, store)
		feed.expect(key.ID, time.Second)
	}
}

func TestSilenceIsNoLoss(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	select {
	case got := <-feed.told:
		t.Fatalf("got %q while nothing happened", got)
	case <-time.After(2*heartbeat + heartbeat/2):
	}
	key, _ := createKey(t, store)
	feed.expect(key.ID, time.Second)
}

func TestFeedComesBackAfterItsConnectionEnds(t *testing.T) {
	store := newStore(t)
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	execute(t, store.config.ConnString(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
	feed.expect(wasLost, time.Second)
	feed.expect(wasReset, 2*time.Second)
	key, _ := createKey(t, store)
	feed.expect(key.ID, time.Second)
}

// Whatever ended the feed's connection ended the others, too, and nobody should find that out by a lookup that fails.
func TestLookupsWorkAsSoonAsTheFeedIsBack(t *testing.T) {
	store := newStore(t)
	_, hash := createKey(t, store)
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	pool, err := store.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	idle := pool.AcquireAllIdle(t.Context())
	for range 4 - len(idle) {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	for _, conn := range idle {
		conn.Release()
	}
	execute(t, store.config.ConnString(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	feed.expect(wasLost, time.Second)
	feed.expect(wasReset, 2*time.Second)
	for range 8 {
		if _, err := store.KeyByHash(t.Context(), hash, time.Now()); err != nil {
			t.Errorf("got error %v", err)
		}
	}
}

func TestFeedNoticesAServerThatFellSilent(t *testing.T) {
	t.Parallel()
	direct := newStore(t)
	createKey(t, direct)
	wire := newProxy(t, net.JoinHostPort("127.0.0.1", shared.port))
	store := openStore(t, shared.urlAt(wire.address(), direct.config.ConnConfig.Database))
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}

	wire.power.Lock()
	restore := sync.OnceFunc(wire.power.Unlock)
	defer restore()
	feed.expect(wasLost, heartbeat+connectTimeout+2*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := store.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("pinging a silent server: got error %v, want context.DeadlineExceeded", err)
	}
	restore()
	feed.expect(wasReset, connectTimeout+2*lastPause)
	key, _ := createKey(t, direct)
	feed.expect(key.ID, time.Second)
}

func TestFeedEndsWithItsContextOrItsStore(t *testing.T) {
	up, down := newStore(t), openStore(t, "postgres://gateway@127.0.0.1:1/nothing")
	for name, test := range map[string]struct {
		store *Store
		first string
		end   func(*Store, *follower)
		want  error
	}{
		"context":                    {up, wasReset, func(_ *Store, f *follower) { f.stop() }, context.Canceled},
		"context while out of reach": {down, wasLost, func(_ *Store, f *follower) { f.stop() }, context.Canceled},
		"store":                      {openStore(t, up.config.ConnString()), wasReset, func(s *Store, _ *follower) { s.Close() }, errClosed},
	} {
		t.Run(name, func(t *testing.T) {
			feed := follow(t, test.store)
			feed.expect(test.first, 10*time.Second)
			test.end(test.store, feed)
			select {
			case err := <-feed.end:
				if !errors.Is(err, test.want) {
					t.Errorf("got error %v, want %v", err, test.want)
				}
			case <-time.After(5 * time.Second):
				t.Error("the feed goes on")
			}
		})
	}
}

func TestKilledServerIsAnErrorUntilItIsBack(t *testing.T) {
	t.Parallel()
	srv := ownServer(t)
	store := openStore(t, srv.newDatabase(t))
	feed := follow(t, store)
	feed.expect(wasReset, 10*time.Second)
	key, hash := createKey(t, store)
	feed.expect(key.ID, time.Second)

	srv.kill()
	feed.expect(wasLost, time.Second)
	late := openStore(t, store.config.ConnString()) // comes up while the server is down
	for range 5 {
		for name, store := range map[string]*Store{"open": store, "late": late} {
			start := time.Now()
			_, err := store.KeyByHash(t.Context(), hash, time.Now())
			if err == nil || errors.Is(err, gateway.ErrKeyNotFound) || strings.Contains(err.Error(), password) {
				t.Errorf("%s store: got error %v, want one that says that the server is down", name, err)
			}
			if took := time.Since(start); took > connectTimeout {
				t.Errorf("%s store: failed after %v", name, took)
			}
		}
	}

	if err := srv.start(); err != nil {
		t.Fatal(err)
	}
	feed.expect(wasReset, 2*lastPause)
	for name, store := range map[string]*Store{"open": store, "late": late} {
		var got *gateway.Key
		err := fmt.Errorf("not tried")
		for until := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(until); {
			got, err = store.KeyByHash(t.Context(), hash, time.Now())
		}
		if err != nil || got.ID != key.ID {
			t.Errorf("%s store: got %+v and error %v, want key %s", name, got, err, key.ID)
		}
	}
	if _, err := store.UpdateKey(t.Context(), key.ID, gateway.KeyChange{Active: new(false)}); err != nil {
		t.Fatal(err)
	}
	feed.expect(key.ID, time.Second)
}
