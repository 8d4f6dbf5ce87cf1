package keys

import (
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// keyJSON is a key as the API shows it.
type keyJSON struct {
	ID string `json:"id"`
	// Key is the secret. Only the answer that made it has it.
	Key    string      `json:"key,omitempty"`
	Name   string      `json:"name"`
	Team   string      `json:"team"`
	Limits []limitJSON `json:"limits"`
	Models []string    `json:"allowed_models"`
	// Budget is always null, since no budgets are enforced.
	Budget     *struct{}  `json:"budget"`
	Active     bool       `json:"active"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	// Created says of an import whether it made the key or found it there.
	Created *bool `json:"created,omitempty"`
}

// pageJSON is a page of keys.
type pageJSON struct {
	Data    []keyJSON `json:"data"`
	HasMore bool      `json:"has_more"`
}

func represent(key *gateway.Key) keyJSON {
	return keyJSON{
		ID: key.ID, Name: key.Name, Team: key.Team,
		Limits: representLimits(key.Limits),
		Models: append([]string{}, key.Models...), // [] rather than null
		Active: key.Active, CreatedAt: key.Created,
		ExpiresAt: timeOrNull(key.Expires), LastUsedAt: timeOrNull(key.LastUsed),
	}
}

// teamJSON is a team as the API shows it.
type teamJSON struct {
	Name      string      `json:"name"`
	Limits    []limitJSON `json:"limits"`
	Active    bool        `json:"active"`
	CreatedAt time.Time   `json:"created_at"`
}

// teamPageJSON is a page of teams.
type teamPageJSON struct {
	Data    []teamJSON `json:"data"`
	HasMore bool       `json:"has_more"`
}

func representTeam(team *gateway.Team) teamJSON {
	return teamJSON{Name: team.Name, Limits: representLimits(team.Limits), Active: team.Active, CreatedAt: team.Created}
}

func timeOrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
