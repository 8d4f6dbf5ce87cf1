package sqlrow

import (
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A key comes as one row per retiring secret with time left at $1, or as a single row where it has none. Each row has the
// record of the key's team, or NULL where there is none.
const (
	keyColumns = `SELECT k.id, k.name, k.team, k.limits, k.models, k.active, k.created, k.expires, k.last_used,
		t.limits, t.active, t.created, r.hash, r.until `

	withTeamAndRetiring = ` LEFT JOIN teams t ON t.name = k.team LEFT JOIN secrets r ON r.key_id = k.id AND r.until > $1 `

	// SelectKeyByHash finds the key that has a secret with the hash $2 that works.
	SelectKeyByHash = keyColumns + `FROM secrets s JOIN keys k ON k.id = s.key_id` + withTeamAndRetiring +
		`WHERE s.hash = $2 AND (s.until IS NULL OR s.until > $1) ORDER BY r.until, r.hash`

	// SelectKeyByID finds the key with the id $2.
	SelectKeyByID = keyColumns + `FROM keys k` + withTeamAndRetiring + `WHERE k.id = $2 ORDER BY r.until, r.hash`

	// SelectFirstPage lists the first $2 keys in order of creation.
	SelectFirstPage = keyColumns +
		`FROM (SELECT * FROM keys ORDER BY created, seq LIMIT $2) k` + withTeamAndRetiring +
		`ORDER BY k.created, k.seq, r.until, r.hash`

	// SelectPageAfter lists $2 keys in order of creation, from the one that follows the key with the id $3.
	SelectPageAfter = keyColumns +
		`FROM (SELECT * FROM keys WHERE (created, seq) > (SELECT created, seq FROM keys WHERE id = $3)
			ORDER BY created, seq LIMIT $2) k` + withTeamAndRetiring +
		`ORDER BY k.created, k.seq, r.until, r.hash`

	// CountKeys counts all keys.
	CountKeys = `SELECT count(*) FROM keys`

	// SelectHashes lists the hashes of all secrets of the key with the id $1, the current one first.
	SelectHashes = `SELECT hash FROM secrets WHERE key_id = $1 ORDER BY until IS NOT NULL, until, hash`
)

// Statements that change a key.
const (
	// InsertKey adds a key unless its id is taken. Its arguments are KeyArgs.
	InsertKey = `INSERT INTO keys (id, name, team, limits, models, active, created, expires, last_used)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`

	// InsertSecret adds the hash $1 to the key with the id $2 until $3, unless the hash is taken.
	InsertSecret = `INSERT INTO secrets (hash, key_id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	// UpdateKey changes what is not NULL. Its arguments are ChangeArgs.
	UpdateKey = `UPDATE keys SET name = coalesce($2, name), team = coalesce($3, team), limits = coalesce($4, limits),
		models = coalesce($5, models), active = coalesce($6, active), expires = coalesce($7, expires) WHERE id = $1`

	// RetireSecret lets the current secret of the key with the id $1 work until $2.
	RetireSecret = `UPDATE secrets SET until = $2 WHERE key_id = $1 AND until IS NULL`

	// PruneSecrets removes the secrets of the key with the id $1 whose time is over at $2.
	PruneSecrets = `DELETE FROM secrets WHERE key_id = $1 AND until <= $2`

	// DeleteKey removes the key with the id $1 and, by the schema's cascade, all of its secrets.
	DeleteKey = `DELETE FROM keys WHERE id = $1`
)

// KeyArgs are the arguments of InsertKey. Windows of the key's limits must be whole seconds.
func KeyArgs(key *gateway.Key) ([]any, error) {
	limits, err := EncodeLimits(key.Limits)
	if err != nil {
		return nil, err
	}
	models, err := EncodeModels(key.Models)
	if err != nil {
		return nil, err
	}
	return []any{key.ID, key.Name, key.Team, limits, models, key.Active,
		Seconds(key.Created), Seconds(key.Expires), Seconds(key.LastUsed)}, nil
}

// ChangeArgs are the arguments of UpdateKey. Windows of limits must be whole seconds.
func ChangeArgs(id string, change gateway.KeyChange) ([]any, error) {
	var limits, models, expires any // nil keeps what is stored
	var err error
	if change.Limits != nil {
		if limits, err = EncodeLimits(*change.Limits); err != nil {
			return nil, err
		}
	}
	if change.Models != nil {
		if models, err = EncodeModels(*change.Models); err != nil {
			return nil, err
		}
	}
	if change.Expires != nil {
		expires = Seconds(*change.Expires)
	}
	return []any{id, change.Name, change.Team, limits, models, change.Active, expires}, nil
}

// Rows is what a query returned, whichever driver ran it.
type Rows interface {
	Row
	Next() bool
	Err() error
}

// Row is one row of it.
type Row interface {
	Scan(into ...any) error
}

// Keys gathers the rows of a key query into keys. The caller closes the rows.
func Keys(rows Rows) ([]*gateway.Key, error) {
	var keys []*gateway.Key
	for rows.Next() {
		var key gateway.Key
		var limits, models, teamLimits, hash []byte
		var created, expires, lastUsed int64
		var teamActive *bool
		var teamCreated, until *int64
		err := rows.Scan(&key.ID, &key.Name, &key.Team, &limits, &models, &key.Active, &created, &expires, &lastUsed,
			&teamLimits, &teamActive, &teamCreated, &hash, &until)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 || keys[len(keys)-1].ID != key.ID {
			if key.Limits, err = DecodeLimits(limits); err != nil {
				return nil, err
			}
			if key.Models, err = DecodeModels(models); err != nil {
				return nil, err
			}
			if teamActive != nil && teamCreated != nil {
				if key.TeamRecord, err = team(key.Team, teamLimits, *teamActive, *teamCreated); err != nil {
					return nil, err
				}
			}
			key.Created, key.Expires, key.LastUsed = Instant(created), Instant(expires), Instant(lastUsed)
			keys = append(keys, &key)
		}
		if until != nil {
			retiring := gateway.RetiringHash{Until: Instant(*until)}
			if retiring.Hash, err = DecodeHash(hash); err != nil {
				return nil, err
			}
			last := keys[len(keys)-1]
			last.Retiring = append(last.Retiring, retiring)
		}
	}
	return keys, rows.Err()
}

// OneKey is the first key that a key query found, or gateway.ErrKeyNotFound. The caller closes the rows.
func OneKey(rows Rows) (*gateway.Key, error) {
	keys, err := Keys(rows)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, gateway.ErrKeyNotFound
	}
	return keys[0], nil
}

// Hashes gathers the rows of SelectHashes. Each key has a current secret: where there is none, there is no such key.
// The caller closes the rows.
func Hashes(rows Rows) ([]gateway.KeyHash, error) {
	var hashes []gateway.KeyHash
	for rows.Next() {
		var stored []byte
		if err := rows.Scan(&stored); err != nil {
			return nil, err
		}
		hash, err := DecodeHash(stored)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(hashes) == 0 {
		return nil, gateway.ErrKeyNotFound
	}
	return hashes, nil
}

// Answered says whether an error is nil or one that gateway.KeyStore promises, and so tells of the data, not of the database.
func Answered(err error) bool {
	for _, promised := range []error{nil, gateway.ErrKeyNotFound, gateway.ErrKeyExists,
		gateway.ErrTeamNotFound, gateway.ErrTeamExists, gateway.ErrTeamInUse, gateway.ErrFileNotFound} {
		if errors.Is(err, promised) {
			return true
		}
	}
	return false
}
