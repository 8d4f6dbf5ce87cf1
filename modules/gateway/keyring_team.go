package gateway

import (
	"context"
	"errors"
	"time"
)

// CreateTeam makes the record of a team. Keys that name the team already are bound by it from their next call on.
func (k *Keyring) CreateTeam(ctx context.Context, name string, limits []Limit) (*Team, error) {
	team := &Team{Name: name, Limits: limits, Active: true, Created: k.now().UTC().Truncate(time.Second)}
	err := k.changeTeam(ctx, name, func() error { return k.store.CreateTeam(ctx, team) })
	if err != nil {
		return nil, err
	}
	return team, nil
}

// changeTeam applies a change to a team's record in the store and drops its keys from memory. As with a key, they are dropped
// where the change fails too, since a store that was cut off may have made it; but not where the store is away from the
// beginning, or they would work no more.
func (k *Keyring) changeTeam(ctx context.Context, name string, apply func() error) error {
	if _, err := k.store.TeamByName(ctx, name); err != nil && !errors.Is(err, ErrTeamNotFound) {
		return err
	}
	defer k.forgetTeam(name)
	return apply()
}

// Team finds a team's record.
func (k *Keyring) Team(ctx context.Context, name string) (*Team, error) {
	return k.store.TeamByName(ctx, name)
}

// Teams lists records in order of their names, up to limit of them after a name.
func (k *Keyring) Teams(ctx context.Context, after string, limit int) ([]*Team, error) {
	return k.store.ListTeams(ctx, after, limit)
}

// UpdateTeam changes a team's record. The change holds for the very next call of each of its keys.
func (k *Keyring) UpdateTeam(ctx context.Context, name string, change TeamChange) (team *Team, err error) {
	err = k.changeTeam(ctx, name, func() error {
		team, err = k.store.UpdateTeam(ctx, name, change)
		return err
	})
	return team, err
}

// DeleteTeam removes a team's record. ErrTeamInUse where the team has keys that work.
func (k *Keyring) DeleteTeam(ctx context.Context, name string) error {
	return k.changeTeam(ctx, name, func() error { return k.store.DeleteTeam(ctx, name) })
}
