package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// KeyByHash finds a key by the hash of a secret of it that works at now. It runs one query, whether the hash is
// known or not.
func (s *Store) KeyByHash(ctx context.Context, hash gateway.KeyHash, now time.Time) (*gateway.Key, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	key, err := oneKey(db.keyByHash.QueryContext(ctx, now.Unix(), hash[:]))
	return key, annotate("finding key by hash", err)
}

// KeyByID finds a key by its public id.
func (s *Store) KeyByID(ctx context.Context, id string) (*gateway.Key, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	key, err := oneKey(db.keyByID.QueryContext(ctx, s.now().Unix(), id))
	return key, annotate("finding key by id", err)
}

// ListKeys returns up to limit keys in order of creation that come after the key with id after, or from the first
// where after is empty. It is gateway.ErrKeyNotFound where there is no such key any more to go on from.
func (s *Store) ListKeys(ctx context.Context, after string, limit int) ([]*gateway.Key, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	keys, err := db.page(ctx, after, limit, s.now())
	return keys, annotate("listing keys", err)
}

func (db *database) page(ctx context.Context, after string, limit int, now time.Time) ([]*gateway.Key, error) {
	if after == "" {
		return allKeys(db.firstPage.QueryContext(ctx, now.Unix(), limit))
	}
	keys, err := allKeys(db.pageAfter.QueryContext(ctx, now.Unix(), limit, after))
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	// Nothing follows: either this was the last key, or there is no such key.
	_, err = oneKey(db.keyByID.QueryContext(ctx, now.Unix(), after))
	return nil, err
}

// CountKeys returns how many keys there are.
func (s *Store) CountKeys(ctx context.Context) (int, error) {
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	var count int
	err = db.read.QueryRowContext(ctx, sqlrow.CountKeys).Scan(&count)
	return count, annotate("counting keys", err)
}

// HashesOf lists the hashes of a key's secrets, the current one first. Retiring ones whose time is over may be
// among them.
func (s *Store) HashesOf(ctx context.Context, id string) ([]gateway.KeyHash, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	hashes, err := db.hashesOf(ctx, id)
	return hashes, annotate("listing hashes of key", err)
}

func (db *database) hashesOf(ctx context.Context, id string) ([]gateway.KeyHash, error) {
	rows, err := db.read.QueryContext(ctx, sqlrow.SelectHashes, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.Hashes(rows)
}

func oneKey(rows *sql.Rows, err error) (*gateway.Key, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneKey(rows)
}

func allKeys(rows *sql.Rows, err error) ([]*gateway.Key, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.Keys(rows)
}
