package postgres

import "github.com/caddy-llm/caddy-llm/modules/gateway"

// Reachable says whether the server answers the connection that listens for changes, which asks it for a sign of life every second
// where it is silent. Before that connection was made the server is out of reach.
func (db *Database) Reachable() bool { return db.store.reachable.Load() }

// Interface guard
var _ gateway.Remote = (*Database)(nil)
