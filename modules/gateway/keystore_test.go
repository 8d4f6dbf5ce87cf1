package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// fakeKeys is a key store in memory that counts its reads. Two hooks let a test come between a read and its return, or
// break the store.
type fakeKeys struct {
	KeyStore // what no test needs panics

	mu      sync.Mutex
	keys    map[string]*Key
	teams   map[string]*Team
	hashes  map[KeyHash]fakeSecret
	reads   int
	touched []map[string]time.Time
	admin   *KeyHash

	read  func()       // called after KeyByHash has read, before it returns
	fails func() error // what any method fails with; nil is none
}

type fakeSecret struct {
	id    string
	until time.Time // zero for the current secret
}

var errBroken = errors.New("the disk is gone")

func newFakeKeys() *fakeKeys {
	return &fakeKeys{keys: make(map[string]*Key), teams: make(map[string]*Team), hashes: make(map[KeyHash]fakeSecret)}
}

func (s *fakeKeys) failure() error {
	if s.fails == nil {
		return nil
	}
	return s.fails()
}

func (s *fakeKeys) CreateKey(_ context.Context, key *Key, hash KeyHash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.hashes[hash]; ok {
		return ErrKeyExists
	}
	made := *key
	s.keys[key.ID], s.hashes[hash] = &made, fakeSecret{id: key.ID}
	return s.failure()
}

func (s *fakeKeys) CreateFirstKey(ctx context.Context, key *Key, hash KeyHash) error {
	s.mu.Lock()
	n := len(s.keys)
	s.mu.Unlock()
	if n > 0 {
		return ErrKeyExists
	}
	return s.CreateKey(ctx, key, hash)
}

func (s *fakeKeys) KeyByHash(ctx context.Context, hash KeyHash, now time.Time) (*Key, error) {
	key, err := s.lookup(hash, now)
	if s.read != nil {
		s.read()
	}
	return key, errors.Join(err, ctx.Err())
}

func (s *fakeKeys) lookup(hash KeyHash, now time.Time) (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if err := s.failure(); err != nil {
		return nil, err
	}
	secret, ok := s.hashes[hash]
	if !ok || !secret.until.IsZero() && !now.Before(secret.until) {
		return nil, ErrKeyNotFound
	}
	return s.keyOf(secret.id, now), nil
}

func (s *fakeKeys) keyOf(id string, now time.Time) *Key {
	key := *s.keys[id]
	key.Retiring, key.TeamRecord = nil, s.teams[key.Team]
	for hash, secret := range s.hashes {
		if secret.id == id && now.Before(secret.until) {
			key.Retiring = append(key.Retiring, RetiringHash{Hash: hash, Until: secret.until})
		}
	}
	return &key
}

func (s *fakeKeys) UpdateKey(_ context.Context, id string, change KeyChange) (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := s.keys[id]
	if !ok {
		return nil, ErrKeyNotFound
	}
	changed := *key
	if change.Active != nil {
		changed.Active = *change.Active
	}
	if change.Expires != nil {
		changed.Expires = *change.Expires
	}
	if change.Name != nil {
		changed.Name = *change.Name
	}
	if change.Team != nil {
		changed.Team = *change.Team
	}
	s.keys[id] = &changed
	return &changed, s.failure()
}

func (s *fakeKeys) RotateKey(_ context.Context, id string, hash KeyHash, until time.Time) (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for former, secret := range s.hashes {
		if secret.id == id && secret.until.IsZero() {
			s.hashes[former] = fakeSecret{id, until}
		}
	}
	s.hashes[hash] = fakeSecret{id: id}
	return s.keys[id], s.failure()
}

func (s *fakeKeys) DeleteKey(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
	maps.DeleteFunc(s.hashes, func(_ KeyHash, secret fakeSecret) bool { return secret.id == id })
	return s.failure()
}

func (s *fakeKeys) HashesOf(_ context.Context, id string) ([]KeyHash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[id]; !ok {
		return nil, ErrKeyNotFound
	}
	return slices.Collect(func(yield func(KeyHash) bool) {
		for hash, secret := range s.hashes {
			if secret.id == id && !yield(hash) {
				return
			}
		}
	}), nil
}

func (s *fakeKeys) CreateTeam(_ context.Context, team *Team) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := *team
	s.teams[team.Name] = &made
	return s.failure()
}

// TeamByName answers even where a change fails, as HashesOf does.
func (s *fakeKeys) TeamByName(_ context.Context, name string) (*Team, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	team, ok := s.teams[name]
	if !ok {
		return nil, ErrTeamNotFound
	}
	return team, nil
}

func (s *fakeKeys) UpdateTeam(_ context.Context, name string, change TeamChange) (*Team, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := *s.teams[name]
	if change.Limits != nil {
		changed.Limits = *change.Limits
	}
	if change.Active != nil {
		changed.Active = *change.Active
	}
	s.teams[name] = &changed
	return &changed, s.failure()
}

func (s *fakeKeys) DeleteTeam(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.teams, name)
	return s.failure()
}

func (s *fakeKeys) TouchKeys(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failure(); err != nil {
		return err
	}
	s.touched = append(s.touched, maps.Clone(used))
	return nil
}

func (s *fakeKeys) CountKeys(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys), s.failure()
}

func (s *fakeKeys) AdminHash(context.Context) (KeyHash, bool, error) {
	if err := s.failure(); err != nil || s.admin == nil {
		return KeyHash{}, false, err
	}
	return *s.admin, true, nil
}

func (s *fakeKeys) SetAdminHash(_ context.Context, hash KeyHash) (bool, error) {
	if s.admin != nil {
		return false, nil
	}
	s.admin = &hash
	return true, s.failure()
}

func (s *fakeKeys) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}
