package sqlrow

import (
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Statements of the ledger that every database understands. How rows are added and pruned differs: PostgreSQL takes
// many rows at once, and several gateways prune.
const (
	// UsageColumns are the columns of the table usage, in the order in which ScanUsage reads them.
	UsageColumns = `minute, key_id, team, surface, provider, model,
			calls, failures, cache_hits, input, cache_read, cache_write, output, reasoning, estimated`

	// CallColumns are the columns of the table calls, in the order in which ScanCall reads them.
	CallColumns = `id, at, key_id, team, surface, provider, model, upstream, status, error, cache, attempts,
			input, cache_read, cache_write, output, reasoning, estimated, took, prompt`

	// AddToSum completes an insertion into usage: where there is a row for these calls already, they are added to it.
	AddToSum = ` ON CONFLICT (minute, key_id, team, surface, provider, model) DO UPDATE SET
			calls = usage.calls + excluded.calls, failures = usage.failures + excluded.failures,
			cache_hits = usage.cache_hits + excluded.cache_hits, input = usage.input + excluded.input,
			cache_read = usage.cache_read + excluded.cache_read, cache_write = usage.cache_write + excluded.cache_write,
			output = usage.output + excluded.output, reasoning = usage.reasoning + excluded.reasoning,
			estimated = usage.estimated OR excluded.estimated`

	// TakeBatch notes that the writer $1 adds its batch $2 at $3 in Unix seconds, and affects no row where it did so before.
	TakeBatch = `INSERT INTO writers (id, last, at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET last = excluded.last, at = excluded.at WHERE writers.last < excluded.last`

	// SelectUsage lists the sums of [$1, $2) in Unix seconds, oldest first, at most $3.
	SelectUsage = `SELECT ` + UsageColumns + ` FROM usage WHERE minute >= $1 AND minute < $2
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $3`

	// SelectCalls lists the request log of [$1, $2) in Unix milliseconds, oldest first, at most $3 rows.
	SelectCalls = `SELECT ` + CallColumns + ` FROM calls WHERE at >= $1 AND at < $2 ORDER BY at, id LIMIT $3`
)

// ScanUsage reads a row of SelectUsage.
func ScanUsage(row Row) (r gateway.UsageRow, err error) {
	var minute int64
	u := &r.Usage
	err = row.Scan(&minute, &r.KeyID, &r.Team, &r.Surface, &r.Provider, &r.Model, &r.Calls, &r.Failures,
		&r.CacheHits, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output, &u.Reasoning, &u.Estimated)
	r.Minute = time.Unix(minute, 0).UTC()
	return r, err
}

// ScanCall reads a row of SelectCalls.
func ScanCall(row Row) (r gateway.CallRow, err error) {
	var at, took int64
	u := &r.Usage
	err = row.Scan(&r.ID, &at, &r.KeyID, &r.Team, &r.Surface, &r.Provider, &r.Model, &r.Upstream, &r.Status, &r.Error,
		&r.Cache, &r.Attempts, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output, &u.Reasoning, &u.Estimated, &took, &r.Prompt)
	r.At, r.Took = time.UnixMilli(at).UTC(), time.Duration(took)*time.Microsecond
	return r, err
}
