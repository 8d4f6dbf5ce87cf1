package storetest

import (
	"errors"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// setTeam is what the model does where a team's record changes, or goes where it is nil.
func (m *keyModel) setTeam(name string, team *gateway.Team) {
	if team == nil {
		delete(m.teams, name)
	} else {
		m.teams[name] = team
	}
	for _, key := range m.keys {
		if key.Team == name {
			key.TeamRecord = team
		}
	}
}

func (m *keyModel) createTeam(t *rapid.T) {
	team := drawTeam(t, rapid.SampledFrom(teamNames).Draw(t, "team"))
	var want error
	if m.teams[team.Name] != nil {
		want = gateway.ErrTeamExists
	}
	if err := m.store.CreateTeam(m.Context(), team); !errors.Is(err, want) {
		t.Fatalf("creating team: got error %v, want %v", err, want)
	}
	if want == nil {
		m.setTeam(team.Name, team)
	}
}

func (m *keyModel) updateTeam(t *rapid.T) {
	name := rapid.SampledFrom(teamNames).Draw(t, "team")
	drawn := drawTeam(t, name)
	var change gateway.TeamChange
	if rapid.Bool().Draw(t, "change limits") {
		change.Limits = &drawn.Limits
	}
	if rapid.Bool().Draw(t, "change active") {
		change.Active = &drawn.Active
	}
	got, err := m.store.UpdateTeam(m.Context(), name, change)
	if m.teams[name] == nil {
		if !errors.Is(err, gateway.ErrTeamNotFound) {
			t.Fatalf("updating a team that is not there: got error %v", err)
		}
		return
	}
	want := *m.teams[name]
	if change.Limits != nil {
		want.Limits = drawn.Limits
	}
	if change.Active != nil {
		want.Active = drawn.Active
	}
	if err != nil || !equalTeams(got, &want) {
		t.Fatalf("updating team: got\n%+v and error %v, want\n%+v", got, err, want)
	}
	m.setTeam(name, &want)
}

func (m *keyModel) deleteTeam(t *rapid.T) {
	name := rapid.SampledFrom(teamNames).Draw(t, "team")
	used := slices.ContainsFunc(m.keys, func(key *gateway.Key) bool {
		return key.Team == name && key.Active && (key.Expires.IsZero() || key.Expires.After(m.now))
	})
	var want error
	switch {
	case m.teams[name] == nil:
		want = gateway.ErrTeamNotFound
	case used:
		want = gateway.ErrTeamInUse
	}
	if err := m.store.DeleteTeam(m.Context(), name); !errors.Is(err, want) {
		t.Fatalf("deleting team: got error %v, want %v", err, want)
	}
	if want == nil {
		m.setTeam(name, nil)
	}
}

func (m *keyModel) checkTeams(t *rapid.T) {
	got, err := m.store.ListTeams(m.Context(), "", len(teamNames)+1)
	var want []*gateway.Team
	for _, name := range slices.Sorted(maps.Keys(m.teams)) {
		want = append(want, m.teams[name])
	}
	if err != nil || !slices.EqualFunc(got, want, equalTeams) {
		t.Fatalf("listing teams: got\n%+v and error %v, want\n%+v", got, err, want)
	}
}
