package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A key comes as one row per retiring secret with time left at $1, or as a single row where it has none.
const (
	keyColumns = `SELECT k.id, k.name, k.team, k.limits, k.models, k.active, k.created, k.expires, k.last_used, r.hash, r.until `

	withRetiring = ` LEFT JOIN secrets r ON r.key_id = k.id AND r.until > $1 `

	selectKeyByHash = keyColumns + `FROM secrets s JOIN keys k ON k.id = s.key_id` + withRetiring +
		`WHERE s.hash = $2 AND (s.until IS NULL OR s.until > $1) ORDER BY r.until, r.hash`

	selectKeyByID = keyColumns + `FROM keys k` + withRetiring + `WHERE k.id = $2 ORDER BY r.until, r.hash`

	selectFirstPage = keyColumns +
		`FROM (SELECT * FROM keys ORDER BY created, seq LIMIT $2) k` + withRetiring +
		`ORDER BY k.created, k.seq, r.until, r.hash`

	selectPageAfter = keyColumns +
		`FROM (SELECT * FROM keys WHERE (created, seq) > (SELECT created, seq FROM keys WHERE id = $3)
			ORDER BY created, seq LIMIT $2) k` + withRetiring +
		`ORDER BY k.created, k.seq, r.until, r.hash`

	selectHashes = `SELECT hash FROM secrets WHERE key_id = $1 ORDER BY until IS NOT NULL, until, hash`
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

// KeyByHash finds a key by the hash of a secret of it that works at now. It runs one query, whether the hash is
// known or not.
func (s *Store) KeyByHash(ctx context.Context, hash gateway.KeyHash, now time.Time) (*gateway.Key, error) {
	return s.find(ctx, "finding key by hash", selectKeyByHash, now.Unix(), hash[:])
}

// KeyByID finds a key by its public id.
func (s *Store) KeyByID(ctx context.Context, id string) (*gateway.Key, error) {
	return s.find(ctx, "finding key by id", selectKeyByID, s.now().Unix(), id)
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
			keys, err = allKeys(ctx, pool, selectFirstPage, now, max(limit, 0))
			return err
		}
		keys, err = allKeys(ctx, pool, selectPageAfter, now, max(limit, 0), after)
		if err != nil || len(keys) > 0 {
			return err
		}
		// Nothing follows: either this was the last key, or there is no such key.
		_, err = oneKey(ctx, pool, selectKeyByID, now, after)
		return err
	})
	return keys, err
}

// CountKeys returns how many keys there are.
func (s *Store) CountKeys(ctx context.Context) (count int, err error) {
	err = s.call(ctx, "counting keys", func(ctx context.Context, pool *pgxpool.Pool) error {
		return pool.QueryRow(ctx, `SELECT count(*) FROM keys`).Scan(&count)
	})
	return count, err
}

// HashesOf lists the hashes of a key's secrets, the current one first. Retiring ones whose time is over may be
// among them.
func (s *Store) HashesOf(ctx context.Context, id string) (hashes []gateway.KeyHash, err error) {
	err = s.call(ctx, "listing hashes of key", func(ctx context.Context, pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, selectHashes, id)
		if err != nil {
			return err
		}
		hashes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (gateway.KeyHash, error) {
			var stored []byte
			if err := row.Scan(&stored); err != nil {
				return gateway.KeyHash{}, err
			}
			return decodeHash(stored)
		})
		if err == nil && len(hashes) == 0 { // every key has a current secret
			return gateway.ErrKeyNotFound
		}
		return err
	})
	return hashes, err
}

func oneKey(ctx context.Context, from querier, query string, args ...any) (*gateway.Key, error) {
	keys, err := allKeys(ctx, from, query, args...)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, gateway.ErrKeyNotFound
	}
	return keys[0], nil
}

// allKeys gathers the rows of a key query into keys.
func allKeys(ctx context.Context, from querier, query string, args ...any) ([]*gateway.Key, error) {
	rows, err := from.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []*gateway.Key
	for rows.Next() {
		var key gateway.Key
		var limits, models, hash []byte
		var created, expires, lastUsed int64
		var until *int64
		if err := rows.Scan(&key.ID, &key.Name, &key.Team, &limits, &models, &key.Active,
			&created, &expires, &lastUsed, &hash, &until); err != nil {
			return nil, err
		}
		if len(keys) == 0 || keys[len(keys)-1].ID != key.ID {
			if key.Limits, err = decodeLimits(limits); err != nil {
				return nil, err
			}
			if key.Models, err = decodeModels(models); err != nil {
				return nil, err
			}
			key.Created, key.Expires, key.LastUsed = instant(created), instant(expires), instant(lastUsed)
			keys = append(keys, &key)
		}
		if until != nil {
			retiring := gateway.RetiringHash{Until: instant(*until)}
			if retiring.Hash, err = decodeHash(hash); err != nil {
				return nil, err
			}
			last := keys[len(keys)-1]
			last.Retiring = append(last.Retiring, retiring)
		}
	}
	return keys, rows.Err()
}
