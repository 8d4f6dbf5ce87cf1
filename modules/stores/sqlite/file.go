package sqlite

import (
	"context"
	"database/sql"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// SQLite compares text byte by byte.
var filePages = sqlrow.PagesOfFiles(`id`)

// AddFile keeps a record, in the place of one that its provider gave the same id.
func (s *Store) AddFile(ctx context.Context, file *gateway.File) error {
	return s.changeFiles(ctx, "recording file", sqlrow.PutFile, sqlrow.FileArgs(file)...)
}

// RemoveFile forgets a provider's file of an owner.
func (s *Store) RemoveFile(ctx context.Context, owner, provider, id string) error {
	return s.changeFiles(ctx, "forgetting file", sqlrow.DeleteFile, owner, provider, id)
}

func (s *Store) changeFiles(ctx context.Context, doing, query string, args ...any) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	if _, err := db.write.ExecContext(ctx, query, args...); err != nil {
		return annotate(doing, err)
	}
	return nil
}

// FileByID finds an owner's file.
func (s *Store) FileByID(ctx context.Context, owner, id string) (*gateway.File, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	file, err := oneFile(db.read.QueryContext(ctx, sqlrow.SelectFile, owner, id))
	return file, annotate("finding file", err)
}

// ListFiles lists an owner's files.
func (s *Store) ListFiles(ctx context.Context, owner string, page gateway.FilePage) ([]*gateway.File, error) {
	var after *gateway.File
	if page.After != "" {
		var err error
		if after, err = s.FileByID(ctx, owner, page.After); err != nil {
			return nil, err
		}
	}
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	query, args := filePages.Page(owner, page, after)
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, annotate("listing files", err)
	}
	defer rows.Close()
	files, err := sqlrow.Files(rows)
	return files, annotate("listing files", err)
}

// ExportFiles calls yield with the record of every file. An error of yield ends it and is returned.
func (s *Store) ExportFiles(ctx context.Context, yield func(*gateway.File) error) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	rows, err := db.read.QueryContext(ctx, sqlrow.SelectFiles)
	if err != nil {
		return annotate("exporting files", err)
	}
	defer rows.Close()
	return annotate("exporting files", sqlrow.EachFile(rows, yield))
}

func oneFile(rows *sql.Rows, err error) (*gateway.File, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneFile(rows)
}
