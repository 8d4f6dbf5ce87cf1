package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	selectUsage = `SELECT minute, key_id, team, surface, provider, model,
			calls, failures, cache_hits, input, cache_read, cache_write, output, reasoning, estimated
		FROM usage WHERE minute >= $1 AND minute < $2
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $3`

	selectCalls = `SELECT id, at, key_id, team, surface, provider, model, upstream, status, error, cache, attempts,
			input, cache_read, cache_write, output, reasoning, estimated, took, prompt
		FROM calls WHERE at >= $1 AND at < $2 ORDER BY at, id LIMIT $3`

	// Gateways prune at the same time: each takes rows that no other one is taking. An array of addresses is looked up
	// row by row, where a subquery might be joined with the whole table.
	pruneUsage = `DELETE FROM usage WHERE ctid = ANY (ARRAY (SELECT ctid FROM usage WHERE minute < $1
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $2 FOR UPDATE SKIP LOCKED))`

	pruneCalls = `DELETE FROM calls WHERE ctid = ANY (ARRAY (SELECT ctid FROM calls WHERE at < $1
		ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

// Usage lists sums of minutes in [from, to), oldest first, at most limit of them.
func (s *Store) Usage(ctx context.Context, from, to time.Time, limit int) ([]gateway.UsageRow, error) {
	return list(ctx, s, "listing usage", func(row pgx.CollectableRow) (r gateway.UsageRow, err error) {
		var minute int64
		u := &r.Usage
		err = row.Scan(&minute, &r.KeyID, &r.Team, &r.Surface, &r.Provider, &r.Model, &r.Calls, &r.Failures,
			&r.CacheHits, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output, &u.Reasoning, &u.Estimated)
		r.Minute = time.Unix(minute, 0).UTC()
		return r, err
	}, selectUsage, ceilSeconds(from), ceilSeconds(to), max(limit, 0))
}

// Calls lists the request log of [from, to), oldest first, at most limit rows.
func (s *Store) Calls(ctx context.Context, from, to time.Time, limit int) ([]gateway.CallRow, error) {
	return list(ctx, s, "listing the request log", func(row pgx.CollectableRow) (r gateway.CallRow, err error) {
		var at, took int64
		u := &r.Usage
		err = row.Scan(&r.ID, &at, &r.KeyID, &r.Team, &r.Surface, &r.Provider, &r.Model, &r.Upstream, &r.Status, &r.Error,
			&r.Cache, &r.Attempts, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output, &u.Reasoning, &u.Estimated, &took, &r.Prompt)
		r.At, r.Took = time.UnixMilli(at).UTC(), time.Duration(took)*time.Microsecond
		return r, err
	}, selectCalls, ceilMillis(from), ceilMillis(to), max(limit, 0))
}

func list[Row any](ctx context.Context, s *Store, doing string, scan pgx.RowToFunc[Row], query string, args ...any) (listed []Row, err error) {
	err = s.call(ctx, doing, func(ctx context.Context, pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		listed, err = pgx.CollectRows(rows, scan)
		return err
	})
	if err != nil {
		return nil, err
	}
	return listed, nil
}

// Prune removes up to limit rows that are older than before, oldest first, and returns how many it removed. It passes
// over rows that another gateway is removing.
func (s *Store) Prune(ctx context.Context, what gateway.Retained, before time.Time, limit int) (removed int, err error) {
	var query string
	var bound int64
	switch what {
	case gateway.RetainedUsage:
		query, bound = pruneUsage, ceilSeconds(before)
	case gateway.RetainedCalls:
		query, bound = pruneCalls, ceilMillis(before)
	default:
		return 0, fmt.Errorf("pruning the ledger: no rows of kind %q", what)
	}
	err = s.call(ctx, "pruning "+string(what), func(ctx context.Context, pool *pgxpool.Pool) error {
		result, err := pool.Exec(ctx, query, bound, max(limit, 0))
		removed = int(result.RowsAffected())
		return err
	})
	return removed, err
}

// ceilSeconds is the first whole second that is not before t: stored times are whole, and bounds need not be.
func ceilSeconds(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

// ceilMillis is the first whole millisecond that is not before t.
func ceilMillis(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

var _ gateway.Ledger = (*Store)(nil)
