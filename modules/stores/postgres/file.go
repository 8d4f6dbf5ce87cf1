package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// Text is compared byte by byte, whatever the database's language.
var filePages = sqlrow.PagesOfFiles(`id COLLATE "C"`)

// AddFile keeps a record, in the place of one that its provider gave the same id.
func (s *Store) AddFile(ctx context.Context, file *gateway.File) error {
	return s.call(ctx, "recording file", func(ctx context.Context, pool *pgxpool.Pool) error {
		_, err := pool.Exec(ctx, sqlrow.PutFile, sqlrow.FileArgs(file)...)
		return err
	})
}

// RemoveFile forgets a provider's file of an owner.
func (s *Store) RemoveFile(ctx context.Context, owner, provider, id string) error {
	return s.call(ctx, "forgetting file", func(ctx context.Context, pool *pgxpool.Pool) error {
		_, err := pool.Exec(ctx, sqlrow.DeleteFile, owner, provider, id)
		return err
	})
}

// FileByID finds an owner's file.
func (s *Store) FileByID(ctx context.Context, owner, id string) (file *gateway.File, err error) {
	err = s.call(ctx, "finding file", func(ctx context.Context, pool *pgxpool.Pool) error {
		file, err = oneFile(ctx, pool, owner, id)
		return err
	})
	return file, err
}

// ListFiles lists an owner's files.
func (s *Store) ListFiles(ctx context.Context, owner string, page gateway.FilePage) (files []*gateway.File, err error) {
	err = s.call(ctx, "listing files", func(ctx context.Context, pool *pgxpool.Pool) error {
		var after *gateway.File
		if page.After != "" {
			if after, err = oneFile(ctx, pool, owner, page.After); err != nil {
				return err
			}
		}
		query, args := filePages.Page(owner, page, after)
		rows, err := pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		files, err = sqlrow.Files(rows)
		return err
	})
	return files, err
}

func oneFile(ctx context.Context, from querier, owner, id string) (*gateway.File, error) {
	rows, err := from.Query(ctx, sqlrow.SelectFile, owner, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneFile(rows)
}
