package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// KeyPrefix begins every gateway key.
const KeyPrefix = "sp_"

// AdminKeyPrefix begins an admin credential that the gateway made itself.
const AdminKeyPrefix = "sa_"

// DefaultKeyLimits is what a key may do where nobody said otherwise: 1,000 requests an hour.
func DefaultKeyLimits() []Limit {
	return []Limit{{Kind: LimitRequests, N: 1000, Window: time.Hour}}
}

// KeyHash is the SHA-256 of a key's full text, the only form in which a key is kept.
type KeyHash [sha256.Size]byte

// HashKey hashes a key's full text.
func HashKey(secret string) KeyHash {
	var buf [128]byte // a key's text fits, so that hashing it needs no memory
	return sha256.Sum256(append(buf[:0], secret...))
}

// NewSecret makes 256 random bits behind a prefix.
func NewSecret(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}

// WellFormedKey tells whether text has the shape of a gateway key: sp_ and 64 lowercase hexadecimal digits.
func WellFormedKey(text string) bool {
	if len(text) != len(KeyPrefix)+64 || text[:len(KeyPrefix)] != KeyPrefix {
		return false
	}
	for i := len(KeyPrefix); i < len(text); i++ {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Key is a gateway key: who calls, and what they may do. A Key that a Keyring hands out is shared and must not be
// changed; the store makes a new one for every change.
type Key struct {
	ID       string    // public, e.g. "key_3f9a…"; safe to log
	Name     string    // the operator's label
	Team     string    // the team that it belongs to; may be empty
	Limits   []Limit   // its own limits; these, its team's and the route's all apply
	Models   []string  // models that it may use, by name or by pattern; empty means all
	Active   bool      // false once revoked
	Created  time.Time // UTC, to the second, as all times here
	Expires  time.Time // zero means never
	LastUsed time.Time // to the minute; zero means never
	// Retiring lists former secrets of a rotated key that still work.
	Retiring []RetiringHash
	// TeamRecord is the record of its team, which a store reads together with the key; nil where Team has none.
	TeamRecord *Team
}

// RetiringHash is a secret that was rotated away and works until its time.
type RetiringHash struct {
	Hash  KeyHash
	Until time.Time
}

// Usable says whether the key works at the given time. One of an inactive team does not.
func (k *Key) Usable(now time.Time) bool {
	return k.Active && (k.Expires.IsZero() || now.Before(k.Expires)) && (k.TeamRecord == nil || k.TeamRecord.Active)
}

// MayUse says whether the key is allowed a model, by the name that clients ask for.
func (k *Key) MayUse(model string) bool {
	if len(k.Models) == 0 {
		return true
	}
	for _, allowed := range k.Models {
		if allowed == model {
			return true
		}
		if _, ok := matchName(allowed, model); ok {
			return true
		}
	}
	return false
}

// MayAsk says whether the key is allowed a route by a name: by that name as the client says it, or by the model's own, so that who may
// use a model may use its aliases.
func (k *Key) MayAsk(name string, route *Route) bool {
	return k.MayUse(name) || route.Own != "" && route.Own != name && k.MayUse(route.Own)
}

// Errors of a key store. Any other error means that the store could not answer.
var (
	ErrKeyNotFound = errors.New("no such key")
	ErrKeyExists   = errors.New("a key with this secret exists already")
	// ErrUnreachable is about a store on another machine that cannot be reached or is not ready, which may pass by itself.
	ErrUnreachable = errors.New("out of reach")
)

// KeyChange is a partial update; nil fields stay as they are.
type KeyChange struct {
	Name    *string
	Team    *string
	Limits  *[]Limit
	Models  *[]string
	Active  *bool
	Expires *time.Time // the zero time removes the expiry
}

// KeyStore keeps keys and teams durably. It is off the path of a call: a Keyring stands before it. Implementations
// open lazily, on first use, so that a config can be validated without touching a disk or a network.
// They are safe for concurrent use, and every method honours its context.
type KeyStore interface {
	TeamStore

	// CreateKey stores a new key under the hash of its secret. A team is told by its name; that it has a record is not asked for. ErrKeyExists where the hash or id is taken.
	CreateKey(ctx context.Context, key *Key, hash KeyHash) error
	// CreateFirstKey stores a new key where there is none at all, else it is ErrKeyExists. Of several that are stored at the same
	// time, in however many processes, one is the first.
	CreateFirstKey(ctx context.Context, key *Key, hash KeyHash) error
	// KeyByHash finds the key whose current secret, or retiring secret with time left at now, has this hash.
	KeyByHash(ctx context.Context, hash KeyHash, now time.Time) (*Key, error)
	// KeyByID finds a key by its public id.
	KeyByID(ctx context.Context, id string) (*Key, error)
	// ListKeys returns up to limit keys in order of creation that come after the key with id after ("" for the first page).
	ListKeys(ctx context.Context, after string, limit int) ([]*Key, error)
	// UpdateKey applies a change and returns the key as it then is.
	UpdateKey(ctx context.Context, id string, change KeyChange) (*Key, error)
	// RotateKey gives a key a new secret. The former one works until the given time, which may be past.
	// Earlier retiring secrets keep their times.
	RotateKey(ctx context.Context, id string, hash KeyHash, formerUntil time.Time) (*Key, error)
	// DeleteKey removes a key and all of its secrets.
	DeleteKey(ctx context.Context, id string) error
	// HashesOf lists every hash that leads to a key, current and retiring, so that caches can forget them.
	HashesOf(ctx context.Context, id string) ([]KeyHash, error)
	// TouchKeys records when keys were last used, in one batch.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
	// CountKeys returns how many keys there are.
	CountKeys(ctx context.Context) (int, error)

	// AdminHash returns the hash of the admin credential that the gateway made, and false where there is none.
	AdminHash(ctx context.Context) (KeyHash, bool, error)
	// SetAdminHash stores it, only where none is stored yet; set tells which.
	SetAdminHash(ctx context.Context, hash KeyHash) (set bool, err error)

	// Ping tells whether the store answers.
	Ping(ctx context.Context) error
	// Close releases what was opened. A store that was never opened closes without error.
	Close() error
}
