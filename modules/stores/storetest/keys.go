// Package storetest holds the behaviour that every store must show, whatever it keeps its data in. A store's own
// tests run these suites and add what only that store can get wrong.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Keys runs the behaviour suite of key stores. Each call of open must return a store that holds nothing yet; the
// suite closes it.
func Keys(t *testing.T, open func(t *testing.T) gateway.KeyStore) {
	for _, test := range []struct {
		behaviour string
		check     func(*keySuite)
	}{
		{"a created key is found by hash and by id", (*keySuite).created},
		{"a taken hash or id is refused and nothing is stored", (*keySuite).duplicate},
		{"an unknown key is not found", (*keySuite).unknown},
		{"every field survives", (*keySuite).roundTrip},
		{"pages follow the order of creation", (*keySuite).pages},
		{"a change touches only its own field", (*keySuite).changes},
		{"a window that is not whole seconds is refused", (*keySuite).oddWindow},
		{"a key can be revoked and activated again", (*keySuite).revoked},
		{"an expiry can be set and removed", (*keySuite).expiry},
		{"a rotated secret works until its time", (*keySuite).rotated},
		{"a secret rotated away in the past works no more", (*keySuite).rotatedAtOnce},
		{"earlier retiring secrets keep their times", (*keySuite).rotatedTwice},
		{"a key cannot be rotated to a known secret", (*keySuite).rotatedToKnown},
		{"deleting a key deletes its secrets", (*keySuite).deleted},
		{"use is recorded for the keys that exist", (*keySuite).touched},
		{"the admin hash is set only once", (*keySuite).admin},
		{"a first key is made only where there is none", (*keySuite).first},
		{"of first keys that are made at once one is the first", (*keySuite).firstAtOnce},
		{"concurrent creations all count and share no hash", (*keySuite).concurrent},
		{"a created team is found and a taken name is refused", (*keySuite).teamCreated},
		{"an unknown team is not found", (*keySuite).teamUnknown},
		{"every field of a team survives", (*keySuite).teamRoundTrip},
		{"teams are listed in order of the bytes of their names", (*keySuite).teamPages},
		{"a change of a team touches only its own field", (*keySuite).teamChanges},
		{"a key comes with the record of its team", (*keySuite).teamOfKey},
		{"a team is deleted once none of its keys works", (*keySuite).teamDeleted},
		{"any sequence of calls agrees with a model", (*keySuite).agreesWithModel},
		{"a cancelled context ends every call", (*keySuite).cancelled},
		{"a closed store answers nothing", (*keySuite).closed},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			store := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			// The real time, because a store may forget secrets that are over by its own clock.
			test.check(&keySuite{T: t, store: store, now: time.Now().UTC().Truncate(time.Second)})
		})
	}
}

type keySuite struct {
	*testing.T
	store gateway.KeyStore
	now   time.Time
}

func newKeyHash() gateway.KeyHash { return gateway.HashKey(gateway.NewSecret(gateway.KeyPrefix)) }

func newKeyID() string { return gateway.NewSecret("key_") }

// create stores an ordinary key under a new hash.
func (s *keySuite) create() (*gateway.Key, gateway.KeyHash) {
	s.Helper()
	key := &gateway.Key{
		ID: newKeyID(), Name: "ci", Team: "platform", Limits: gateway.DefaultKeyLimits(),
		Models: []string{"fast", "smart"}, Active: true, Created: s.now,
	}
	hash := newKeyHash()
	if err := s.store.CreateKey(s.Context(), key, hash); err != nil {
		s.Fatalf("creating key: %v", err)
	}
	return key, hash
}

func (s *keySuite) found(want *gateway.Key, hash gateway.KeyHash, at time.Time) {
	s.Helper()
	got, err := s.store.KeyByHash(s.Context(), hash, at)
	s.same(got, err, want)
}

func (s *keySuite) notFound(hash gateway.KeyHash, at time.Time) {
	s.Helper()
	if key, err := s.store.KeyByHash(s.Context(), hash, at); !errors.Is(err, gateway.ErrKeyNotFound) || key != nil {
		s.Fatalf("finding by hash: got %+v and error %v, want ErrKeyNotFound", key, err)
	}
}

func (s *keySuite) same(got *gateway.Key, err error, want *gateway.Key) {
	s.Helper()
	if err != nil {
		s.Fatalf("got error %v, want key %+v", err, want)
	}
	if !equalKeys(got, want) {
		s.Fatalf("got key\n%+v, want\n%+v", got, want)
	}
}

func (s *keySuite) fails(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got error %v, want %v", err, want)
	}
}

// equalKeys compares field by field; an empty list is as good as none, and retiring secrets have no order.
func equalKeys(a, b *gateway.Key) bool {
	return reflect.DeepEqual(comparableKey(a), comparableKey(b))
}

func comparableKey(key *gateway.Key) gateway.Key {
	k := *key
	k.Limits = append([]gateway.Limit{}, k.Limits...)
	k.Models = append([]string{}, k.Models...)
	k.Retiring = append([]gateway.RetiringHash{}, k.Retiring...)
	if k.TeamRecord != nil {
		team := comparableTeam(k.TeamRecord)
		k.TeamRecord = &team
	}
	slices.SortFunc(k.Retiring, func(a, b gateway.RetiringHash) int { return slices.Compare(a.Hash[:], b.Hash[:]) })
	return k
}

func (s *keySuite) created() {
	key, hash := s.create()
	s.found(key, hash, s.now)
	got, err := s.store.KeyByID(s.Context(), key.ID)
	s.same(got, err, key)
	s.hashes(key.ID, hash)
	s.count(1)
}

func (s *keySuite) hashes(id string, want ...gateway.KeyHash) {
	s.Helper()
	got, err := s.store.HashesOf(s.Context(), id)
	if err != nil {
		s.Fatalf("listing hashes: %v", err)
	}
	order := func(a, b gateway.KeyHash) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		s.Fatalf("got hashes %x, want %x", got, want)
	}
}

func (s *keySuite) count(want int) {
	s.Helper()
	if got, err := s.store.CountKeys(s.Context()); err != nil || got != want {
		s.Fatalf("got count %d and error %v, want %d", got, err, want)
	}
}

func (s *keySuite) duplicate() {
	key, hash := s.create()
	other := *key
	other.ID, other.Name = newKeyID(), "other"
	s.fails(s.store.CreateKey(s.Context(), &other, hash), gateway.ErrKeyExists)
	_, err := s.store.KeyByID(s.Context(), other.ID)
	s.fails(err, gateway.ErrKeyNotFound)

	other.ID = key.ID
	unused := newKeyHash()
	s.fails(s.store.CreateKey(s.Context(), &other, unused), gateway.ErrKeyExists)
	s.notFound(unused, s.now)
	s.found(key, hash, s.now)
	s.count(1)
}

func (s *keySuite) unknown() {
	s.create()
	s.notFound(newKeyHash(), s.now)
	for name, call := range map[string]func(id string) error{
		"KeyByID":   func(id string) error { _, err := s.store.KeyByID(s.Context(), id); return err },
		"ListKeys":  func(id string) error { _, err := s.store.ListKeys(s.Context(), id, 10); return err },
		"UpdateKey": func(id string) error { _, err := s.store.UpdateKey(s.Context(), id, gateway.KeyChange{}); return err },
		"RotateKey": func(id string) error { _, err := s.store.RotateKey(s.Context(), id, newKeyHash(), s.now); return err },
		"DeleteKey": func(id string) error { return s.store.DeleteKey(s.Context(), id) },
		"HashesOf":  func(id string) error { _, err := s.store.HashesOf(s.Context(), id); return err },
	} {
		if err := call(newKeyID()); !errors.Is(err, gateway.ErrKeyNotFound) {
			s.Errorf("%s of an unknown id: got error %v, want ErrKeyNotFound", name, err)
		}
	}
}

func (s *keySuite) pages() {
	if keys, err := s.store.ListKeys(s.Context(), "", 10); err != nil || len(keys) != 0 {
		s.Fatalf("got %d keys and error %v from an empty store", len(keys), err)
	}
	var want []string
	for _, age := range []time.Duration{0, 0, time.Hour, 0, 2 * time.Hour} {
		key := &gateway.Key{ID: newKeyID(), Active: true, Created: s.now.Add(-age)}
		if err := s.store.CreateKey(s.Context(), key, newKeyHash()); err != nil {
			s.Fatal(err)
		}
		want = append(want, key.ID)
	}
	want = []string{want[4], want[2], want[0], want[1], want[3]} // by time, then in order of their creation

	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		for after := ""; len(got) <= len(want); after = got[len(got)-1] {
			page, err := s.store.ListKeys(s.Context(), after, limit)
			if err != nil {
				s.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				s.Fatalf("got %d keys in a page of %d", len(page), limit)
			}
			for _, key := range page {
				got = append(got, key.ID)
			}
		}
		if !slices.Equal(got, want) {
			s.Errorf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
	if keys, err := s.store.ListKeys(s.Context(), "", 0); err != nil || len(keys) != 0 {
		s.Errorf("got %d keys and error %v in a page of 0", len(keys), err)
	}
}

func (s *keySuite) deleted() {
	key, first := s.create()
	kept, keptHash := s.create()
	second := newKeyHash()
	if _, err := s.store.RotateKey(s.Context(), key.ID, second, s.now.Add(time.Hour)); err != nil {
		s.Fatal(err)
	}
	if err := s.store.DeleteKey(s.Context(), key.ID); err != nil {
		s.Fatal(err)
	}
	s.notFound(first, s.now)
	s.notFound(second, s.now)
	_, err := s.store.HashesOf(s.Context(), key.ID)
	s.fails(err, gateway.ErrKeyNotFound)
	s.found(kept, keptHash, s.now)
	s.count(1)

	// The secrets are gone, not only hidden: they can be given again.
	if err := s.store.CreateKey(s.Context(), key, first); err != nil {
		s.Fatalf("creating a deleted key again: %v", err)
	}
}

func (s *keySuite) touched() {
	one, oneHash := s.create()
	two, twoHash := s.create()
	use := s.now.Truncate(time.Minute)
	if err := s.store.TouchKeys(s.Context(), map[string]time.Time{one.ID: use, newKeyID(): use}); err != nil {
		s.Fatal(err)
	}
	one.LastUsed = use
	s.found(one, oneHash, s.now)
	s.found(two, twoHash, s.now)

	// Another gateway's batch may arrive late.
	if err := s.store.TouchKeys(s.Context(), map[string]time.Time{one.ID: use.Add(-time.Hour)}); err != nil {
		s.Fatal(err)
	}
	s.found(one, oneHash, s.now)
	if err := s.store.TouchKeys(s.Context(), nil); err != nil {
		s.Errorf("touching nothing: %v", err)
	}
}

func (s *keySuite) admin() {
	if _, found, err := s.store.AdminHash(s.Context()); found || err != nil {
		s.Fatalf("got an admin hash from an empty store, or error %v", err)
	}
	hashes := make([]gateway.KeyHash, 8)
	won := make([]bool, len(hashes))
	var group sync.WaitGroup
	for i := range hashes {
		hashes[i] = newKeyHash()
		group.Go(func() {
			var err error
			if won[i], err = s.store.SetAdminHash(s.Context(), hashes[i]); err != nil {
				s.Errorf("setting admin hash: %v", err)
			}
		})
	}
	group.Wait()
	winner := slices.Index(won, true)
	if winner < 0 || slices.Contains(won[winner+1:], true) {
		s.Fatalf("the hash was set by %v, want exactly one", won)
	}
	if got, found, err := s.store.AdminHash(s.Context()); err != nil || !found || got != hashes[winner] {
		s.Errorf("got admin hash %x, %v and error %v, want %x", got, found, err, hashes[winner])
	}
}

func (s *keySuite) concurrent() {
	const creators = 64
	shared := newKeyHash()
	own := make([]gateway.KeyHash, creators)
	shares := make([]error, creators)
	var group sync.WaitGroup
	for i := range creators {
		own[i] = newKeyHash()
		group.Go(func() {
			key := gateway.Key{ID: newKeyID(), Name: fmt.Sprint(i), Active: true, Created: s.now}
			if err := s.store.CreateKey(s.Context(), &key, own[i]); err != nil {
				s.Errorf("creating key: %v", err)
				return
			}
			if got, err := s.store.KeyByHash(s.Context(), own[i], s.now); err != nil || !equalKeys(got, &key) {
				s.Errorf("finding a key just created: got %+v and error %v, want %+v", got, err, key)
			}
			key.ID = newKeyID()
			shares[i] = s.store.CreateKey(s.Context(), &key, shared)
		})
	}
	group.Wait()
	won := 0
	for _, err := range shares {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, gateway.ErrKeyExists):
			s.Errorf("creating a key with a shared hash: got error %v, want ErrKeyExists", err)
		}
	}
	if won != 1 {
		s.Errorf("%d keys were created with one hash", won)
	}
	s.count(creators + 1)
}
