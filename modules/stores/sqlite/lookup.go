package sqlite

import (
	"context"
	"database/sql"
	"time"

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
	err = db.read.QueryRowContext(ctx, `SELECT count(*) FROM keys`).Scan(&count)
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
	rows, err := db.read.QueryContext(ctx,
		`SELECT hash FROM secrets WHERE key_id = $1 ORDER BY until IS NOT NULL, until, hash`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hashes []gateway.KeyHash
	for rows.Next() {
		var hash storedHash
		if err := rows.Scan(&hash); err != nil {
			return nil, err
		}
		hashes = append(hashes, gateway.KeyHash(hash))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(hashes) == 0 { // every key has a current secret
		return nil, gateway.ErrKeyNotFound
	}
	return hashes, nil
}

func oneKey(rows *sql.Rows, err error) (*gateway.Key, error) {
	keys, err := allKeys(rows, err)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, gateway.ErrKeyNotFound
	}
	return keys[0], nil
}

// allKeys gathers the rows of a key query into keys.
func allKeys(rows *sql.Rows, err error) ([]*gateway.Key, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []*gateway.Key
	for rows.Next() {
		var key gateway.Key
		var limits, models sql.RawBytes
		var hash storedHash
		var created, expires, lastUsed int64
		var until sql.NullInt64
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
		if until.Valid {
			last := keys[len(keys)-1]
			last.Retiring = append(last.Retiring, gateway.RetiringHash{Hash: gateway.KeyHash(hash), Until: instant(until.Int64)})
		}
	}
	return keys, rows.Err()
}
