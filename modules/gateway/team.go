package gateway

import (
	"context"
	"errors"
	"time"
)

// Team is the record of a team: what all of its keys may do together. A key may name a team that has none, which then
// limits nothing. As a Key, it is shared and must not be changed.
type Team struct {
	Name    string    // its id, which keys name; up to 64 letters, digits, dots, dashes and underscores
	Limits  []Limit   // shared by all of its keys; none is unlimited
	Active  bool      // false refuses all of its keys
	Created time.Time // UTC, to the second
}

// TeamChange is a partial update; nil fields stay as they are.
type TeamChange struct {
	Limits *[]Limit
	Active *bool
}

// Errors of a team store.
var (
	ErrTeamNotFound = errors.New("no such team")
	ErrTeamExists   = errors.New("a team of this name exists already")
	ErrTeamInUse    = errors.New("the team has keys that are active")
)

// TeamStore keeps the records of teams. It is the part of a KeyStore that concerns them.
type TeamStore interface {
	// CreateTeam stores a new record. ErrTeamExists where the name has one.
	CreateTeam(ctx context.Context, team *Team) error
	// TeamByName finds a record.
	TeamByName(ctx context.Context, name string) (*Team, error)
	// ListTeams returns up to limit records in order of their names, byte by byte, that come after a name ("" for the first page),
	// whether or not that has a record.
	ListTeams(ctx context.Context, after string, limit int) ([]*Team, error)
	// UpdateTeam applies a change and returns the record as it then is.
	UpdateTeam(ctx context.Context, name string, change TeamChange) (*Team, error)
	// DeleteTeam removes a record. ErrTeamInUse where a key of the team is active and has not expired, since it would go on without
	// the team's limits.
	DeleteTeam(ctx context.Context, name string) error
}
