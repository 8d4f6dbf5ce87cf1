package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// Text is compared byte by byte, whatever the database's language. No index helps, nor does a list of teams need one.
const selectTeams = `SELECT ` + sqlrow.TeamColumns + ` FROM teams WHERE name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2`

// CreateTeam stores a new record. Windows of its limits must be whole seconds.
func (s *Store) CreateTeam(ctx context.Context, team *gateway.Team) error {
	row, err := sqlrow.TeamArgs(team)
	if err != nil {
		return err
	}
	return s.tell(ctx, "creating team", teamChannel, team.Name, func(ctx context.Context, tx pgx.Tx) error {
		return affect(ctx, tx, gateway.ErrTeamExists, sqlrow.InsertTeam, row)
	})
}

// TeamByName finds a record.
func (s *Store) TeamByName(ctx context.Context, name string) (team *gateway.Team, err error) {
	err = s.call(ctx, "finding team", func(ctx context.Context, pool *pgxpool.Pool) error {
		team, err = oneTeam(ctx, pool, name)
		return err
	})
	return team, err
}

// ListTeams returns up to limit records in order of their names that come after a name.
func (s *Store) ListTeams(ctx context.Context, after string, limit int) (teams []*gateway.Team, err error) {
	err = s.call(ctx, "listing teams", func(ctx context.Context, pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, selectTeams, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		teams, err = sqlrow.Teams(rows)
		return err
	})
	return teams, err
}

// UpdateTeam applies a change and returns the record as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateTeam(ctx context.Context, name string, to gateway.TeamChange) (team *gateway.Team, err error) {
	args, err := sqlrow.TeamChangeArgs(name, to)
	if err != nil {
		return nil, err
	}
	err = s.tell(ctx, "updating team", teamChannel, name, func(ctx context.Context, tx pgx.Tx) error {
		if err := affect(ctx, tx, gateway.ErrTeamNotFound, sqlrow.UpdateTeam, args); err != nil {
			return err
		}
		team, err = oneTeam(ctx, tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return team, nil
}

// DeleteTeam removes a record unless a key of the team is in use. A key that is given to the team at the same moment is one
// of a team without a record.
func (s *Store) DeleteTeam(ctx context.Context, name string) error {
	return s.tell(ctx, "deleting team", teamChannel, name, func(ctx context.Context, tx pgx.Tx) error {
		if err := affect(ctx, tx, gateway.ErrTeamNotFound, sqlrow.DeleteTeam, []any{name}); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRow(ctx, sqlrow.TeamInUse, name, s.now().Unix()).Scan(&used); err != nil {
			return err
		}
		if used { // so nothing is kept of this
			return gateway.ErrTeamInUse
		}
		return nil
	})
}

func oneTeam(ctx context.Context, from querier, name string) (*gateway.Team, error) {
	rows, err := from.Query(ctx, sqlrow.SelectTeam, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneTeam(rows)
}
