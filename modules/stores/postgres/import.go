package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// Source is a key store whose whole content can be read, such as sqlite.Store.
type Source interface {
	// Export calls yield with every key in order of creation, its retiring secrets with time left included, and
	// with the hash of its current secret. An error of yield ends it and is returned.
	Export(ctx context.Context, yield func(key *gateway.Key, current gateway.KeyHash) error) error
	// ListTeams is gateway.KeyStore's.
	ListTeams(ctx context.Context, after string, limit int) ([]*gateway.Team, error)
	// ExportFiles calls yield with the record of every file. An error of yield ends it and is returned.
	ExportFiles(ctx context.Context, yield func(*gateway.File) error) error
	// AdminHash is gateway.KeyStore's.
	AdminHash(ctx context.Context) (gateway.KeyHash, bool, error)
}

// Imported is what an import did.
type Imported struct {
	Created int // keys that were copied
	Present int // keys that were here before, which stay as they are
	// Taken lists keys that were not copied since a secret of theirs belongs to another key here.
	Taken []string
	// Teams are the records of teams that were copied, and TeamsPresent those that were here before.
	Teams, TeamsPresent int
	// Files are the records of files that were copied, and FilesPresent those that were here before.
	Files, FilesPresent int
	// Admin tells whether the hash of the admin credential was copied. One that was here before stays.
	Admin bool
}

// Import copies all teams, keys and records of files of another store, and the hash of its admin credential. What is here already stays
// as it is, so an import that was interrupted can be run again. Progress is called after each key.
//
// On error, Imported tells how far it came.
func (s *Store) Import(ctx context.Context, from Source, progress func(Imported)) (Imported, error) {
	var done Imported
	if err := s.importTeams(ctx, from, &done); err != nil { // before their keys, which so are never without their limits
		return done, err
	}
	err := from.Export(ctx, func(key *gateway.Key, current gateway.KeyHash) error {
		if err := s.importKey(ctx, key, current, &done); err != nil {
			return fmt.Errorf("importing key %s: %w", key.ID, err)
		}
		progress(done)
		return nil
	})
	if err != nil {
		return done, err
	}
	if err := s.importFiles(ctx, from, &done); err != nil {
		return done, err
	}
	hash, found, err := from.AdminHash(ctx)
	if err != nil || !found {
		return done, err
	}
	done.Admin, err = s.SetAdminHash(ctx, hash)
	return done, err
}

// teamPage bounds the teams that an import holds in memory.
const teamPage = 500

func (s *Store) importTeams(ctx context.Context, from Source, done *Imported) error {
	for after := ""; ; {
		teams, err := from.ListTeams(ctx, after, teamPage)
		if err != nil || len(teams) == 0 {
			return err
		}
		for _, team := range teams {
			switch err := s.CreateTeam(ctx, team); {
			case err == nil:
				done.Teams++
			case errors.Is(err, gateway.ErrTeamExists):
				done.TeamsPresent++
			default:
				return fmt.Errorf("importing team %s: %w", team.Name, err)
			}
			after = team.Name
		}
	}
}

func (s *Store) importFiles(ctx context.Context, from Source, done *Imported) error {
	return from.ExportFiles(ctx, func(file *gateway.File) error {
		return s.call(ctx, "importing the record of file "+file.ID, func(ctx context.Context, pool *pgxpool.Pool) error {
			result, err := pool.Exec(ctx, sqlrow.InsertFile, sqlrow.FileArgs(file)...)
			if err != nil {
				return err
			}
			if result.RowsAffected() == 0 {
				done.FilesPresent++
				return nil
			}
			done.Files++
			return nil
		})
	})
}

func (s *Store) importKey(ctx context.Context, key *gateway.Key, current gateway.KeyHash, done *Imported) error {
	err := s.CreateKey(ctx, key, current)
	if err == nil {
		done.Created++
		return nil
	}
	if !errors.Is(err, gateway.ErrKeyExists) {
		return err
	}
	switch _, err = s.KeyByID(ctx, key.ID); {
	case err == nil:
		done.Present++
	case errors.Is(err, gateway.ErrKeyNotFound):
		done.Taken = append(done.Taken, key.ID)
	default:
		return err
	}
	return nil
}
