package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Database)) }

// defaultURL is where a platform usually puts it.
const defaultURL = "{env.DATABASE_URL}"

// The pool lets a reload go on with the open connections. Its keys are hashes, since a URL may hold a password.
var pool = caddy.NewUsagePool()

// Database keeps keys, teams, usage, the request log and records of files in PostgreSQL, which many gateways may share.
type Database struct {
	// URL names the database, as in postgres://user:password@host:5432/database?sslmode=verify-full. It may carry
	// the settings of libpq and pool_max_conns (default: 8), connect_timeout in seconds (default: 2) and
	// statement_timeout in milliseconds (default: 5000). Placeholders are replaced when the config is loaded; keep
	// the URL in one, since it holds a password. Default: {env.DATABASE_URL}.
	URL string `json:"url,omitempty"`

	store *Store
	taken string
}

// CaddyModule returns the Caddy module information.
func (*Database) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.postgres", New: func() caddy.Module { return new(Database) }}
}

// UnmarshalCaddyfile sets up the database from Caddyfile tokens. Syntax:
//
//	database postgres [<url>]
func (db *Database) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		db.URL = d.Val()
	}
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.ArgErr()
	}
	return nil
}

// UseDataDir reads the URL. The directory is of no use here.
func (db *Database) UseDataDir(string) error {
	given := db.URL
	if given == "" {
		given = defaultURL
	}
	url := caddy.NewReplacer().ReplaceAll(given, "")
	if url == "" { // so what was given holds nothing but placeholders, which may be shown
		return fmt.Errorf("postgres: url %s is empty; set it", given)
	}
	hash := sha256.Sum256([]byte(url))
	name := hex.EncodeToString(hash[:])
	value, _, err := pool.LoadOrNew(name, func() (caddy.Destructor, error) {
		store, err := New(url)
		return open{store}, err
	})
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	db.taken, db.store = name, value.(open).Store
	return nil
}

// Optional says that the gateway goes on without the database: known keys keep working.
func (*Database) Optional() bool { return true }

// Ledger keeps what was used.
func (db *Database) Ledger() gateway.Ledger { return db.store }

// Keys keeps the keys. It is a gateway.KeyFeed too.
func (db *Database) Keys() gateway.KeyStore { return db.store }

// Files keeps whose the files are that providers keep.
func (db *Database) Files() gateway.FileStore { return db.store }

// Release gives the database back to the pool, which closes it with its last user.
func (db *Database) Release() error {
	if db.taken == "" {
		return nil
	}
	_, err := pool.Delete(db.taken)
	db.taken = ""
	return err
}

type open struct{ *Store }

// Destruct closes the connections.
func (o open) Destruct() error { return o.Close() }

// Interface guards
var (
	_ gateway.Database      = (*Database)(nil)
	_ caddyfile.Unmarshaler = (*Database)(nil)
)
