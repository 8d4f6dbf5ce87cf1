package storetest

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func (s *keySuite) update(key *gateway.Key, change gateway.KeyChange) *gateway.Key {
	s.Helper()
	got, err := s.store.UpdateKey(s.Context(), key.ID, change)
	if err != nil {
		s.Fatalf("updating key: %v", err)
	}
	return got
}

func (s *keySuite) changes() {
	later := s.now.Add(time.Hour)
	for _, test := range []struct {
		field  string
		change gateway.KeyChange
		want   func(*gateway.Key)
	}{
		{"nothing", gateway.KeyChange{}, func(*gateway.Key) {}},
		{"name", gateway.KeyChange{Name: new("deploy")}, func(k *gateway.Key) { k.Name = "deploy" }},
		{"name to nothing", gateway.KeyChange{Name: new("")}, func(k *gateway.Key) { k.Name = "" }},
		{"team", gateway.KeyChange{Team: new("data")}, func(k *gateway.Key) { k.Team = "data" }},
		{"team to none", gateway.KeyChange{Team: new("")}, func(k *gateway.Key) { k.Team = "" }},
		{"limits", gateway.KeyChange{Limits: &[]gateway.Limit{{Kind: gateway.LimitConcurrency, N: 4}}},
			func(k *gateway.Key) { k.Limits = []gateway.Limit{{Kind: gateway.LimitConcurrency, N: 4}} }},
		{"limits to none", gateway.KeyChange{Limits: new([]gateway.Limit)}, func(k *gateway.Key) { k.Limits = nil }},
		{"models", gateway.KeyChange{Models: &[]string{"small"}}, func(k *gateway.Key) { k.Models = []string{"small"} }},
		{"models to all", gateway.KeyChange{Models: new([]string)}, func(k *gateway.Key) { k.Models = nil }},
		{"active", gateway.KeyChange{Active: new(false)}, func(k *gateway.Key) { k.Active = false }},
		{"expires", gateway.KeyChange{Expires: &later}, func(k *gateway.Key) { k.Expires = later }},
		{"several at once", gateway.KeyChange{Name: new("a"), Team: new("b"), Active: new(false)},
			func(k *gateway.Key) { k.Name, k.Team, k.Active = "a", "b", false }},
	} {
		s.Run(test.field, func(t *testing.T) {
			s := &keySuite{T: t, store: s.store, now: s.now}
			want, hash := s.create()
			other, otherHash := s.create()
			test.want(want)
			s.same(s.update(want, test.change), nil, want)
			s.found(want, hash, s.now)
			s.found(other, otherHash, s.now)
		})
	}
}

func (s *keySuite) revoked() {
	key, hash := s.create()
	for _, active := range []bool{false, true} {
		key.Active = active
		s.update(key, gateway.KeyChange{Active: &active})
		s.found(key, hash, s.now) // a revoked key is found, so that its caller can be told apart from a stranger
		if key.Usable(s.now) != active {
			s.Errorf("usable is %v where active is %v", key.Usable(s.now), active)
		}
	}
}

func (s *keySuite) expiry() {
	key, hash := s.create()
	key.Expires = s.now.Add(time.Hour)
	s.update(key, gateway.KeyChange{Expires: &key.Expires})
	s.found(key, hash, s.now)
	s.found(key, hash, s.now.Add(2*time.Hour)) // whether it may be used is the caller's to say

	key.Expires = time.Time{}
	s.update(key, gateway.KeyChange{Expires: &key.Expires})
	s.found(key, hash, s.now)
}

func (s *keySuite) rotate(key *gateway.Key, until time.Time) gateway.KeyHash {
	s.Helper()
	hash := newKeyHash()
	got, err := s.store.RotateKey(s.Context(), key.ID, hash, until)
	s.same(got, err, key)
	return hash
}

func (s *keySuite) rotated() {
	key, former := s.create()
	until := s.now.Add(time.Hour)
	key.Retiring = []gateway.RetiringHash{{Hash: former, Until: until}}
	current := s.rotate(key, until)

	s.found(key, current, s.now)
	s.found(key, former, s.now)
	s.found(key, former, until.Add(-time.Nanosecond))
	s.notFound(former, until)
	s.hashes(key.ID, current, former)

	key.Retiring = nil
	s.found(key, current, until)
	s.count(1)
}

func (s *keySuite) rotatedAtOnce() {
	key, former := s.create()
	current := s.rotate(key, s.now.Add(-time.Hour))
	s.notFound(former, s.now)
	s.found(key, current, s.now)

	former = current
	current = s.rotate(key, time.Time{})
	s.notFound(former, s.now)
	s.found(key, current, s.now)
	s.hashes(key.ID, current)
}

func (s *keySuite) rotatedTwice() {
	key, first := s.create()
	late, soon := s.now.Add(2*time.Hour), s.now.Add(time.Hour)
	key.Retiring = []gateway.RetiringHash{{Hash: first, Until: late}}
	second := s.rotate(key, late)
	key.Retiring = append(key.Retiring, gateway.RetiringHash{Hash: second, Until: soon})
	third := s.rotate(key, soon)

	for _, hash := range []gateway.KeyHash{first, second, third} {
		s.found(key, hash, s.now)
	}
	s.notFound(second, soon)
	key.Retiring = key.Retiring[:1]
	s.found(key, first, soon)
	s.notFound(first, late)
}

func (s *keySuite) rotatedToKnown() {
	key, former := s.create()
	until := s.now.Add(time.Hour)
	key.Retiring = []gateway.RetiringHash{{Hash: former, Until: until}}
	current := s.rotate(key, until)
	other, otherHash := s.create()

	for name, hash := range map[string]gateway.KeyHash{"current": current, "retiring": former, "another key's": otherHash} {
		for _, formerUntil := range []time.Time{until, s.now.Add(-time.Hour)} {
			if _, err := s.store.RotateKey(s.Context(), key.ID, hash, formerUntil); err == nil {
				s.Errorf("the key was rotated to its %s secret", name)
			} else {
				s.fails(err, gateway.ErrKeyExists)
			}
		}
	}
	s.found(key, current, s.now)
	s.found(other, otherHash, s.now)
}

func (s *keySuite) first() {
	first := &gateway.Key{ID: newKeyID(), Name: "default", Active: true, Created: s.now}
	hash := newKeyHash()
	if err := s.store.CreateFirstKey(s.Context(), first, hash); err != nil {
		s.Fatalf("creating the first key: %v", err)
	}
	s.found(first, hash, s.now)
	second := &gateway.Key{ID: newKeyID(), Active: true, Created: s.now}
	s.fails(s.store.CreateFirstKey(s.Context(), second, newKeyHash()), gateway.ErrKeyExists)
	s.count(1)
	if err := s.store.DeleteKey(s.Context(), first.ID); err != nil {
		s.Fatal(err)
	}
	if err := s.store.CreateFirstKey(s.Context(), second, newKeyHash()); err != nil {
		s.Errorf("where all keys are deleted: %v", err)
	}
	s.count(1)
}

func (s *keySuite) firstAtOnce() {
	for range 10 { // the first round has to open the store, too
		var group sync.WaitGroup
		made := make(chan string, 8)
		for range cap(made) {
			group.Go(func() {
				key := &gateway.Key{ID: newKeyID(), Active: true, Created: s.now}
				switch err := s.store.CreateFirstKey(s.Context(), key, newKeyHash()); {
				case err == nil:
					made <- key.ID
				case !errors.Is(err, gateway.ErrKeyExists):
					s.Errorf("creating the first key: %v", err)
				}
			})
		}
		group.Wait()
		if len(made) != 1 {
			s.Fatalf("%d first keys were made", len(made))
		}
		s.count(1)
		if err := s.store.DeleteKey(s.Context(), <-made); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *keySuite) oddWindow() {
	limits := []gateway.Limit{{Kind: gateway.LimitRequests, N: 1, Window: 1500 * time.Millisecond}}
	const want = "window 1.5s is not whole seconds"
	odd := &gateway.Key{ID: newKeyID(), Limits: limits, Created: s.now}
	if err := s.store.CreateKey(s.Context(), odd, newKeyHash()); err == nil || !strings.Contains(err.Error(), want) {
		s.Errorf("creating: got error %v, want %q", err, want)
	}
	_, err := s.store.KeyByID(s.Context(), odd.ID)
	s.fails(err, gateway.ErrKeyNotFound)
	key, _ := s.create()
	if _, err := s.store.UpdateKey(s.Context(), key.ID, gateway.KeyChange{Limits: &limits}); err == nil || !strings.Contains(err.Error(), want) {
		s.Errorf("updating: got error %v, want %q", err, want)
	}
	got, err := s.store.KeyByID(s.Context(), key.ID)
	s.same(got, err, key)
}
