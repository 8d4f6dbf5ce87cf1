package sqlite

import (
	"context"
	"database/sql"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// SQLite compares text byte by byte.
const selectTeams = `SELECT ` + sqlrow.TeamColumns + ` FROM teams WHERE name > $1 ORDER BY name LIMIT $2`

// CreateTeam stores a new record. Windows of its limits must be whole seconds.
func (s *Store) CreateTeam(ctx context.Context, team *gateway.Team) error {
	row, err := sqlrow.TeamArgs(team)
	if err != nil {
		return err
	}
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	return annotate("creating team", change(ctx, db.write, gateway.ErrTeamExists, sqlrow.InsertTeam, row))
}

// TeamByName finds a record.
func (s *Store) TeamByName(ctx context.Context, name string) (*gateway.Team, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	team, err := oneTeam(db.read.QueryContext(ctx, sqlrow.SelectTeam, name))
	return team, annotate("finding team", err)
}

// ListTeams returns up to limit records in order of their names that come after a name.
func (s *Store) ListTeams(ctx context.Context, after string, limit int) ([]*gateway.Team, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.read.QueryContext(ctx, selectTeams, after, max(limit, 0)) // a negative one would be none
	if err != nil {
		return nil, annotate("listing teams", err)
	}
	defer rows.Close()
	teams, err := sqlrow.Teams(rows)
	return teams, annotate("listing teams", err)
}

// UpdateTeam applies a change and returns the record as it then is. Windows of limits must be whole seconds.
func (s *Store) UpdateTeam(ctx context.Context, name string, to gateway.TeamChange) (*gateway.Team, error) {
	args, err := sqlrow.TeamChangeArgs(name, to)
	if err != nil {
		return nil, err
	}
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	var team *gateway.Team
	err = db.transact(ctx, func(tx *sql.Tx) error {
		if err := change(ctx, tx, gateway.ErrTeamNotFound, sqlrow.UpdateTeam, args); err != nil {
			return err
		}
		team, err = oneTeam(tx.QueryContext(ctx, sqlrow.SelectTeam, name))
		return err
	})
	if err != nil {
		return nil, annotate("updating team", err)
	}
	return team, nil
}

// DeleteTeam removes a record unless a key of the team is in use.
func (s *Store) DeleteTeam(ctx context.Context, name string) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	return annotate("deleting team", db.transact(ctx, func(tx *sql.Tx) error {
		if err := change(ctx, tx, gateway.ErrTeamNotFound, sqlrow.DeleteTeam, []any{name}); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRowContext(ctx, sqlrow.TeamInUse, name, s.now().Unix()).Scan(&used); err != nil {
			return err
		}
		if used { // so nothing is kept of this
			return gateway.ErrTeamInUse
		}
		return nil
	}))
}

func oneTeam(rows *sql.Rows, err error) (*gateway.Team, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneTeam(rows)
}
