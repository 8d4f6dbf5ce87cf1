package sqlite

import (
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Database)) }

// FileName is the database's file in the data directory.
const FileName = "gateway.db"

// The pool lets a reload go on with the open database.
var pool = caddy.NewUsagePool()

// Database keeps keys, teams, usage, the request log and records of files in an embedded SQLite file.
type Database struct {
	// Path is the file. Placeholders are replaced. Default: gateway.db in the data directory.
	Path string `json:"path,omitempty"`

	store *Store
	taken string
}

// CaddyModule returns the Caddy module information.
func (*Database) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.sqlite", New: func() caddy.Module { return new(Database) }}
}

// UnmarshalCaddyfile sets up the database from Caddyfile tokens. Syntax:
//
//	database sqlite [<path>]
func (db *Database) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		db.Path = d.Val()
	}
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.ArgErr()
	}
	return nil
}

// UseDataDir tells where the file is where the config does not.
func (db *Database) UseDataDir(dir string) error {
	db.Path = caddy.NewReplacer().ReplaceAll(db.Path, "")
	if db.Path == "" {
		db.Path = filepath.Join(dir, FileName)
	}
	path, err := filepath.Abs(db.Path)
	if err != nil {
		return err
	}
	value, _, err := pool.LoadOrNew(path, func() (caddy.Destructor, error) { return open{New(path)}, nil })
	if err != nil {
		return err
	}
	db.taken, db.store = path, value.(open).Store
	return nil
}

// Keys keeps the keys.
func (db *Database) Keys() gateway.KeyStore { return db.store }

// Ledger keeps usage and the request log.
func (db *Database) Ledger() gateway.Ledger { return db.store }

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

// Destruct closes the file.
func (o open) Destruct() error { return o.Close() }

// Interface guards
var (
	_ gateway.Database      = (*Database)(nil)
	_ caddyfile.Unmarshaler = (*Database)(nil)
)
