package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// calls lists every call that needs the store to answer.
func (s *keySuite) calls(ctx context.Context) map[string]error {
	id, hash := newKeyID(), newKeyHash()
	errs := make(map[string]error)
	errs["CreateKey"] = s.store.CreateKey(ctx, &gateway.Key{ID: id, Created: s.now}, hash)
	errs["CreateFirstKey"] = s.store.CreateFirstKey(ctx, &gateway.Key{ID: id, Created: s.now}, hash)
	_, errs["KeyByHash"] = s.store.KeyByHash(ctx, hash, s.now)
	_, errs["KeyByID"] = s.store.KeyByID(ctx, id)
	_, errs["ListKeys"] = s.store.ListKeys(ctx, "", 1)
	_, errs["UpdateKey"] = s.store.UpdateKey(ctx, id, gateway.KeyChange{})
	_, errs["RotateKey"] = s.store.RotateKey(ctx, id, newKeyHash(), s.now)
	errs["DeleteKey"] = s.store.DeleteKey(ctx, id)
	_, errs["HashesOf"] = s.store.HashesOf(ctx, id)
	errs["TouchKeys"] = s.store.TouchKeys(ctx, map[string]time.Time{id: s.now})
	_, errs["CountKeys"] = s.store.CountKeys(ctx)
	_, _, errs["AdminHash"] = s.store.AdminHash(ctx)
	_, errs["SetAdminHash"] = s.store.SetAdminHash(ctx, hash)
	errs["CreateTeam"] = s.store.CreateTeam(ctx, &gateway.Team{Name: id, Created: s.now})
	_, errs["TeamByName"] = s.store.TeamByName(ctx, id)
	_, errs["ListTeams"] = s.store.ListTeams(ctx, "", 1)
	_, errs["UpdateTeam"] = s.store.UpdateTeam(ctx, id, gateway.TeamChange{})
	errs["DeleteTeam"] = s.store.DeleteTeam(ctx, id)
	errs["Ping"] = s.store.Ping(ctx)
	return errs
}

func (s *keySuite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for _, state := range []string{"unopened", "open"} {
		for name, err := range s.calls(ctx) {
			if !errors.Is(err, context.Canceled) {
				s.Errorf("%s of an %s store: got error %v, want context.Canceled", name, state, err)
			}
		}
		s.count(0) // opens it, and shows that nothing was written
	}
}

func (s *keySuite) closed() {
	s.create()
	for range 2 {
		if err := s.store.Close(); err != nil {
			s.Fatalf("closing: %v", err)
		}
	}
	for name, err := range s.calls(s.Context()) {
		if err == nil || errors.Is(err, gateway.ErrKeyNotFound) || errors.Is(err, gateway.ErrKeyExists) ||
			errors.Is(err, gateway.ErrTeamNotFound) || errors.Is(err, gateway.ErrTeamExists) {
			s.Errorf("%s of a closed store: got error %v, want one that says so", name, err)
		}
	}
}
