package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// createTeam stores an ordinary team.
func (s *keySuite) createTeam(name string) *gateway.Team {
	s.Helper()
	team := &gateway.Team{Name: name, Limits: []gateway.Limit{{Kind: gateway.LimitConcurrency, N: 4}}, Active: true, Created: s.now}
	if err := s.store.CreateTeam(s.Context(), team); err != nil {
		s.Fatalf("creating team: %v", err)
	}
	return team
}

func (s *keySuite) foundTeam(want *gateway.Team) {
	s.Helper()
	got, err := s.store.TeamByName(s.Context(), want.Name)
	s.sameTeam(got, err, want)
}

func (s *keySuite) sameTeam(got *gateway.Team, err error, want *gateway.Team) {
	s.Helper()
	if err != nil || !equalTeams(got, want) {
		s.Fatalf("got team %+v and error %v, want %+v", got, err, want)
	}
}

func equalTeams(a, b *gateway.Team) bool {
	return reflect.DeepEqual(comparableTeam(a), comparableTeam(b))
}

func comparableTeam(team *gateway.Team) gateway.Team {
	t := *team
	t.Limits = append([]gateway.Limit{}, t.Limits...)
	return t
}

func (s *keySuite) teamCreated() {
	team := s.createTeam("platform")
	s.foundTeam(team)
	s.fails(s.store.CreateTeam(s.Context(), &gateway.Team{Name: "platform", Created: s.now}), gateway.ErrTeamExists)
	s.foundTeam(team)
	s.count(0) // it is no key
}

func (s *keySuite) teamUnknown() {
	s.createTeam("platform")
	s.create() // whose team is no other
	for name, call := range map[string]func(team string) error{
		"TeamByName": func(team string) error { _, err := s.store.TeamByName(s.Context(), team); return err },
		"UpdateTeam": func(team string) error {
			_, err := s.store.UpdateTeam(s.Context(), team, gateway.TeamChange{Active: new(false)})
			return err
		},
		"DeleteTeam": func(team string) error { return s.store.DeleteTeam(s.Context(), team) },
	} {
		for _, team := range []string{"", "Platform", "platform ", "plat%"} {
			if err := call(team); !errors.Is(err, gateway.ErrTeamNotFound) {
				s.Errorf("%s of %q: got error %v, want ErrTeamNotFound", name, team, err)
			}
		}
	}
}

func drawTeam(t *rapid.T, name string) *gateway.Team {
	return &gateway.Team{
		Name: name, Limits: keyLimits.Draw(t, "limits"), Active: rapid.Bool().Draw(t, "active"), Created: keyTime(t, time.Second, "created"),
	}
}

func (s *keySuite) teamRoundTrip() {
	rapid.Check(s.T, func(t *rapid.T) {
		team := drawTeam(t, rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "name"))
		if err := s.store.CreateTeam(s.Context(), team); err != nil {
			t.Fatalf("creating %+v: %v", team, err)
		}
		if got, err := s.store.TeamByName(s.Context(), team.Name); err != nil || !equalTeams(got, team) {
			t.Fatalf("got\n%+v and error %v, want\n%+v", got, err, team)
		}
		if err := s.store.DeleteTeam(s.Context(), team.Name); err != nil {
			t.Fatalf("deleting %+v: %v", team, err)
		}
	})
}

func (s *keySuite) teamPages() {
	if teams, err := s.store.ListTeams(s.Context(), "", 10); err != nil || len(teams) != 0 {
		s.Fatalf("got %d teams and error %v from an empty store", len(teams), err)
	}
	// Languages would sort some of them otherwise.
	want := []string{"-", ".a", "1", "10", "2", "B", "Z", "_", "a", "a-b", "aB", "a_b", "ab", "b"}
	for _, i := range []int{3, 13, 0, 7, 5, 1, 12, 2, 11, 4, 6, 10, 8, 9} {
		s.createTeam(want[i])
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		for after := ""; len(got) <= len(want); after = got[len(got)-1] {
			page, err := s.store.ListTeams(s.Context(), after, limit)
			if err != nil || len(page) > limit {
				s.Fatalf("got %d teams and error %v in a page of %d", len(page), err, limit)
			}
			if len(page) == 0 {
				break
			}
			for _, team := range page {
				got = append(got, team.Name)
			}
		}
		if !slices.Equal(got, want) {
			s.Errorf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
	if teams, err := s.store.ListTeams(s.Context(), "aa", 1); err != nil || len(teams) != 1 || teams[0].Name != "ab" {
		s.Errorf("after a name that no team has: got %+v and error %v, want ab", teams, err)
	}
	for _, limit := range []int{0, -1} {
		if teams, err := s.store.ListTeams(s.Context(), "", limit); err != nil || len(teams) != 0 {
			s.Errorf("got %d teams and error %v in a page of %d", len(teams), err, limit)
		}
	}
}

func (s *keySuite) teamChanges() {
	for _, test := range []struct {
		field  string
		change gateway.TeamChange
		want   func(*gateway.Team)
	}{
		{"nothing", gateway.TeamChange{}, func(*gateway.Team) {}},
		{"limits", gateway.TeamChange{Limits: new(gateway.DefaultKeyLimits())}, func(t *gateway.Team) { t.Limits = gateway.DefaultKeyLimits() }},
		{"limits to none", gateway.TeamChange{Limits: new([]gateway.Limit)}, func(t *gateway.Team) { t.Limits = nil }},
		{"active", gateway.TeamChange{Active: new(false)}, func(t *gateway.Team) { t.Active = false }},
		{"both", gateway.TeamChange{Limits: new([]gateway.Limit), Active: new(false)},
			func(t *gateway.Team) { t.Limits, t.Active = nil, false }},
	} {
		s.Run(test.field, func(t *testing.T) {
			s := &keySuite{T: t, store: s.store, now: s.now}
			team, other := s.createTeam(newKeyID()), s.createTeam(newKeyID())
			test.want(team)
			got, err := s.store.UpdateTeam(s.Context(), team.Name, test.change)
			s.sameTeam(got, err, team)
			s.foundTeam(team)
			s.foundTeam(other)
		})
	}
}

func (s *keySuite) teamOfKey() {
	key, hash := s.create() // in platform, which has no record
	other, otherHash := s.create()
	s.update(other, gateway.KeyChange{Team: new("other")})
	other.Team = "other"
	everywhere := func() {
		s.Helper()
		s.found(key, hash, s.now)
		s.found(other, otherHash, s.now)
		got, err := s.store.KeyByID(s.Context(), key.ID)
		s.same(got, err, key)
		s.same(s.update(key, gateway.KeyChange{}), nil, key)
		page, err := s.store.ListKeys(s.Context(), "", 2)
		if err != nil || len(page) != 2 {
			s.Fatalf("got %d keys and error %v", len(page), err)
		}
		s.same(page[0], nil, key)
		s.same(page[1], nil, other)
	}
	everywhere()
	key.TeamRecord = s.createTeam("platform")
	everywhere()

	team, err := s.store.UpdateTeam(s.Context(), "platform", gateway.TeamChange{Active: new(false), Limits: new([]gateway.Limit)})
	if err != nil {
		s.Fatal(err)
	}
	key.TeamRecord = team
	everywhere()
	if got, _ := s.store.KeyByID(s.Context(), key.ID); got.Usable(s.now) {
		s.Error("a key of an inactive team is usable")
	}
	until := s.now.Add(time.Hour)
	key.Retiring = []gateway.RetiringHash{{Hash: hash, Until: until}}
	s.rotate(key, until)
	everywhere()
}

func (s *keySuite) teamDeleted() {
	team := s.createTeam("platform")
	key, _ := s.create()
	inUse := func(what string, want error) {
		s.Helper()
		if err := s.store.DeleteTeam(s.Context(), "platform"); !errors.Is(err, want) {
			s.Fatalf("%s: got error %v, want %v", what, err, want)
		}
		if want == nil {
			_, err := s.store.TeamByName(s.Context(), "platform")
			s.fails(err, gateway.ErrTeamNotFound)
			team = s.createTeam("platform")
		}
		s.foundTeam(team)
	}
	past, future := s.now.Add(-time.Hour), s.now.Add(time.Hour)
	inUse("with an active key", gateway.ErrTeamInUse)
	for _, test := range []struct {
		state  string
		change gateway.KeyChange
		want   error
	}{
		{"that is revoked", gateway.KeyChange{Active: new(false)}, nil},
		{"that is active again", gateway.KeyChange{Active: new(true)}, gateway.ErrTeamInUse},
		{"that has expired", gateway.KeyChange{Expires: &past}, nil},
		{"that expires later", gateway.KeyChange{Expires: &future}, gateway.ErrTeamInUse},
		{"that has moved to another team", gateway.KeyChange{Team: new("other")}, nil},
	} {
		s.update(key, test.change)
		inUse("with a key "+test.state, test.want)
	}
	s.update(key, gateway.KeyChange{Team: new("platform")})
	inUse("with a key that has come back", gateway.ErrTeamInUse)
	if err := s.store.DeleteKey(s.Context(), key.ID); err != nil {
		s.Fatal(err)
	}
	inUse("without keys", nil)
}
