package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

// KeyByHash finds a key by the hash of a secret of it that works at now. It runs one query, whether the hash is
// known or not.
func (s *Store) KeyByHash(ctx context.Context, hash gateway.KeyHash, now time.Time) (*gateway.Key, error) {
	return s.find(ctx, "finding key by hash", sqlrow.SelectKeyByHash, now.Unix(), hash[:])
}

// KeyByID finds a key by its public id.
func (s *Store) KeyByID(ctx context.Context, id string) (*gateway.Key, error) {
	return s.find(ctx, "finding key by id", sqlrow.SelectKeyByID, s.now().Unix(), id)
}

func (s *Store) find(ctx context.Context, doing, query string, args ...any) (key *gateway.Key, err error) {
	err = s.call(ctx, doing, func(ctx context.Context, pool *pgxpool.Pool) error {
		key, err = oneKey(ctx, pool, query, args...)
		return err
	})
	return key, err
}

// ListKeys returns up to limit keys in order of creation that come after the key with id after, or from the first
// where after is empty. It is gateway.ErrKeyNotFound where there is no such key any more to go on from.
func (s *Store) ListKeys(ctx context.Context, after string, limit int) (keys []*gateway.Key, err error) {
	err = s.call(ctx, "listing keys", func(ctx context.Context, pool *pgxpool.Pool) error {
		now := s.now().Unix()
		if after == "" {
			keys, err = allKeys(ctx, pool, sqlrow.SelectFirstPage, now, max(limit, 0))
			return err
		}
		keys, err = allKeys(ctx, pool, sqlrow.SelectPageAfter, now, max(limit, 0), after)
		if err != nil || len(keys) > 0 {
			return err
		}
		// Nothing follows: either this was the last key, or there is no such key.
		_, err = oneKey(ctx, pool, sqlrow.SelectKeyByID, now, after)
		return err
	})
	return keys, err
}

// CountKeys returns how many keys there are.
func (s *Store) CountKeys(ctx context.Context) (count int, err error) {
	err = s.call(ctx, "counting keys", func(ctx context.Context, pool *pgxpool.Pool) error {
		return pool.QueryRow(ctx, sqlrow.CountKeys).Scan(&count)
	})
	return count, err
}

// HashesOf lists the hashes of a key's secrets, the current one first. Retiring ones whose time is over may be
// among them.
func (s *Store) HashesOf(ctx context.Context, id string) (hashes []gateway.KeyHash, err error) {
	err = s.call(ctx, "listing hashes of key", func(ctx context.Context, pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, sqlrow.SelectHashes, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		hashes, err = sqlrow.Hashes(rows)
		return err
	})
	return hashes, err
}

func oneKey(ctx context.Context, from querier, query string, args ...any) (*gateway.Key, error) {
	rows, err := from.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.OneKey(rows)
}

func allKeys(ctx context.Context, from querier, query string, args ...any) ([]*gateway.Key, error) {
	rows, err := from.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqlrow.Keys(rows)
}
