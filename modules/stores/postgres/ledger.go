package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	// Gateways prune at the same time: each takes rows that no other one is taking. An array of addresses is looked up
	// row by row, where a subquery might be joined with the whole table.
	pruneUsage = `DELETE FROM usage WHERE ctid = ANY (ARRAY (SELECT ctid FROM usage WHERE minute < $1
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $2 FOR UPDATE SKIP LOCKED))`

	pruneCalls = `DELETE FROM calls WHERE ctid = ANY (ARRAY (SELECT ctid FROM calls WHERE at < $1
		ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED))`

	pruneWriters = `DELETE FROM writers WHERE ctid = ANY (ARRAY (SELECT ctid FROM writers WHERE at < $1
		ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

// Usage lists sums of minutes in [from, to), oldest first, at most limit of them.
func (s *Store) Usage(ctx context.Context, from, to time.Time, limit int) ([]gateway.UsageRow, error) {
	return list(ctx, s, "listing usage", sqlrow.ScanUsage, sqlrow.SelectUsage, sqlrow.CeilSeconds(from), sqlrow.CeilSeconds(to), max(limit, 0))
}

// Calls lists the request log of [from, to), oldest first, at most limit rows.
func (s *Store) Calls(ctx context.Context, from, to time.Time, limit int) ([]gateway.CallRow, error) {
	return list(ctx, s, "listing the request log", sqlrow.ScanCall, sqlrow.SelectCalls, sqlrow.CeilMillis(from), sqlrow.CeilMillis(to), max(limit, 0))
}

func list[Row any](ctx context.Context, s *Store, doing string, scan func(sqlrow.Row) (Row, error), query string, args ...any) (listed []Row, err error) {
	err = s.call(ctx, doing, func(ctx context.Context, pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		listed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) { return scan(row) })
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
		query, bound = pruneUsage, sqlrow.CeilSeconds(before)
	case gateway.RetainedCalls:
		query, bound = pruneCalls, sqlrow.CeilMillis(before)
	case gateway.RetainedWriters:
		query, bound = pruneWriters, sqlrow.CeilSeconds(before)
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

var _ gateway.Ledger = (*Store)(nil)
