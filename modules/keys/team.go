package keys

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// The members that the bodies of each operation on teams may have.
var (
	createTeamFields = []string{"name", "limits"}
	updateTeamFields = []string{"limits", "active"}
)

// teamOperations is keyOperations for teams.
func (a *api) teamOperations(req *request, path string) map[string]operation {
	if path == "" {
		return map[string]operation{http.MethodGet: a.listTeams, http.MethodPost: a.createTeam}
	}
	if strings.Contains(path, "/") {
		return nil
	}
	req.id = path
	return map[string]operation{http.MethodGet: a.showTeam, http.MethodPatch: a.updateTeam, http.MethodDelete: a.deleteTeam}
}

func (a *api) listTeams(ctx context.Context, req *request) (reply, *dialect.Error) {
	limit, failure := req.pageSize()
	if failure != nil {
		return reply{}, failure
	}
	found, err := a.ring.Teams(ctx, req.query.Get("after"), limit+1)
	if err != nil {
		return reply{}, storeFailure(err)
	}
	page := teamPageJSON{Data: make([]teamJSON, 0, len(found)), HasMore: len(found) > limit}
	for _, team := range found[:min(len(found), limit)] {
		page.Data = append(page.Data, representTeam(team))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *api) createTeam(ctx context.Context, req *request) (reply, *dialect.Error) {
	s, failure := teamSettingsOf(req, createTeamFields)
	if failure != nil {
		return reply{}, failure
	}
	if s.name == "" {
		return reply{}, invalid("name", "a team needs a name, by which its keys name it")
	}
	var limits []gateway.Limit
	if s.Limits != nil {
		limits = *s.Limits
	}
	team, err := a.ring.CreateTeam(ctx, s.name, limits)
	return shownTeam(http.StatusCreated, team, err)
}

func (a *api) showTeam(ctx context.Context, req *request) (reply, *dialect.Error) {
	team, err := a.ring.Team(ctx, req.id)
	return shownTeam(http.StatusOK, team, err)
}

func (a *api) updateTeam(ctx context.Context, req *request) (reply, *dialect.Error) {
	s, failure := teamSettingsOf(req, updateTeamFields)
	if failure != nil {
		return reply{}, failure
	}
	team, err := a.ring.UpdateTeam(ctx, req.id, s.TeamChange)
	return shownTeam(http.StatusOK, team, err)
}

func (a *api) deleteTeam(ctx context.Context, req *request) (reply, *dialect.Error) {
	if err := a.ring.DeleteTeam(ctx, req.id); err != nil {
		return reply{}, storeFailure(err)
	}
	return reply{status: http.StatusNoContent}, nil
}

func shownTeam(status int, team *gateway.Team, err error) (reply, *dialect.Error) {
	if err != nil {
		return reply{}, storeFailure(err)
	}
	return reply{status: status, body: representTeam(team)}, nil
}

// teamSettings is what a request's body says of a team.
type teamSettings struct {
	gateway.TeamChange
	name string
}

func teamSettingsOf(req *request, fields []string) (*teamSettings, *dialect.Error) {
	body, failure := req.body()
	if failure != nil {
		return nil, failure
	}
	s := new(teamSettings)
	if failure := eachField(body, fields, s.read); failure != nil {
		return nil, failure
	}
	return s, nil
}

func (s *teamSettings) read(field string, value []byte) (err *dialect.Error) {
	switch field {
	case "name":
		s.name, err = parseTeamName(value)
	case "limits":
		limits := []gateway.Limit{}
		if string(value) != "null" {
			limits, err = parseLimits(value)
		}
		s.Limits = &limits
	case "active":
		s.Active, err = parseActive(value)
	}
	return err
}

// parseTeamName takes what a key may name, but for what a path cannot.
func parseTeamName(value []byte) (string, *dialect.Error) {
	name, err := parseTeam(value)
	if err != nil {
		err.Field = "name"
		return "", err
	}
	if name == "." || name == ".." {
		return "", invalid("name", "a name of dots alone cannot stand in a path; choose another")
	}
	return name, nil
}
