package sqlrow

import (
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Statements about teams.
const (
	// TeamColumns are the columns of the table teams, in the order in which Teams reads them.
	TeamColumns = `name, limits, active, created`

	// SelectTeam finds the team of the name $1.
	SelectTeam = `SELECT ` + TeamColumns + ` FROM teams WHERE name = $1`

	// InsertTeam adds a team unless its name is taken. Its arguments are TeamArgs.
	InsertTeam = `INSERT INTO teams (` + TeamColumns + `) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	// UpdateTeam changes what is not NULL. Its arguments are TeamChangeArgs.
	UpdateTeam = `UPDATE teams SET limits = coalesce($2, limits), active = coalesce($3, active) WHERE name = $1`

	// DeleteTeam removes the team of the name $1.
	DeleteTeam = `DELETE FROM teams WHERE name = $1`

	// TeamInUse tells whether a key of the team of the name $1 is active and its time is not over at $2.
	TeamInUse = `SELECT EXISTS (SELECT 1 FROM keys WHERE team = $1 AND active AND (expires = 0 OR expires > $2))`
)

// TeamArgs are the arguments of InsertTeam. Windows of the team's limits must be whole seconds.
func TeamArgs(team *gateway.Team) ([]any, error) {
	limits, err := EncodeLimits(team.Limits)
	if err != nil {
		return nil, err
	}
	return []any{team.Name, limits, team.Active, Seconds(team.Created)}, nil
}

// TeamChangeArgs are the arguments of UpdateTeam. Windows of limits must be whole seconds.
func TeamChangeArgs(name string, change gateway.TeamChange) ([]any, error) {
	var limits any // nil keeps what is stored
	if change.Limits != nil {
		var err error
		if limits, err = EncodeLimits(*change.Limits); err != nil {
			return nil, err
		}
	}
	return []any{name, limits, change.Active}, nil
}

// Teams gathers rows of TeamColumns. The caller closes the rows.
func Teams(rows Rows) ([]*gateway.Team, error) {
	var teams []*gateway.Team
	for rows.Next() {
		var name string
		var limits []byte
		var active bool
		var created int64
		if err := rows.Scan(&name, &limits, &active, &created); err != nil {
			return nil, err
		}
		found, err := team(name, limits, active, created)
		if err != nil {
			return nil, err
		}
		teams = append(teams, found)
	}
	return teams, rows.Err()
}

// OneTeam is the first team that a query found, or gateway.ErrTeamNotFound. The caller closes the rows.
func OneTeam(rows Rows) (*gateway.Team, error) {
	teams, err := Teams(rows)
	if err != nil {
		return nil, err
	}
	if len(teams) == 0 {
		return nil, gateway.ErrTeamNotFound
	}
	return teams[0], nil
}

// team reads what is stored of one.
func team(name string, limits []byte, active bool, created int64) (*gateway.Team, error) {
	decoded, err := DecodeLimits(limits)
	if err != nil {
		return nil, err
	}
	return &gateway.Team{Name: name, Limits: decoded, Active: active, Created: Instant(created)}, nil
}
