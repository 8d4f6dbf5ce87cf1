package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	addUsage = `INSERT INTO usage (` + sqlrow.UsageColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)` + sqlrow.AddToSum

	addCall = `INSERT INTO calls (` + sqlrow.CallColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (id) DO NOTHING`

	pruneUsage = `DELETE FROM usage WHERE (minute, key_id, team, surface, provider, model) IN (
		SELECT minute, key_id, team, surface, provider, model FROM usage WHERE minute < $1
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $2)`

	pruneCalls = `DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < $1 ORDER BY at, id LIMIT $2)`

	pruneWriters = `DELETE FROM writers WHERE id IN (SELECT id FROM writers WHERE at < $1 ORDER BY at, id LIMIT $2)`
)

// errTaken ends the transaction of a batch that was added before.
var errTaken = errors.New("the batch was added before")

// AddUsage adds rows to the sums of their minute, key, surface, provider and model, in one transaction, unless the batch
// was added before. Text that PostgreSQL could not keep, which is NUL and what is not UTF-8, becomes U+FFFD, so that the
// schemas stay alike.
func (s *Store) AddUsage(ctx context.Context, batch gateway.Batch, rows []gateway.UsageRow) error {
	take := func(tx *sql.Tx) error {
		return change(ctx, tx, errTaken, sqlrow.TakeBatch, []any{batch.Writer, batch.Number, s.now().Unix()})
	}
	err := s.addRows(ctx, take, addUsage, len(rows), func(i int, args []any) []any {
		row := &rows[i]
		u := &row.Usage
		return append(args, row.Minute.Truncate(time.Minute).Unix(), sqlrow.Plain(row.KeyID), sqlrow.Plain(row.Team), sqlrow.Plain(row.Surface),
			sqlrow.Plain(row.Provider), sqlrow.Plain(row.Model), row.Calls, row.Failures, row.CacheHits,
			u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Estimated)
	})
	if errors.Is(err, errTaken) {
		return nil
	}
	return annotate("adding usage", err)
}

// AddCalls appends to the request log in one transaction; a row whose id is there already is left out. It keeps
// when a call was to the millisecond, how long it took to the microsecond, and text as AddUsage does.
func (s *Store) AddCalls(ctx context.Context, rows []gateway.CallRow) error {
	return annotate("adding to the request log", s.addRows(ctx, nil, addCall, len(rows), func(i int, args []any) []any {
		row := &rows[i]
		u := &row.Usage
		return append(args, sqlrow.Plain(row.ID), row.At.UnixMilli(), sqlrow.Plain(row.KeyID), sqlrow.Plain(row.Team), sqlrow.Plain(row.Surface),
			sqlrow.Plain(row.Provider), sqlrow.Plain(row.Model), sqlrow.Plain(row.Upstream), row.Status, sqlrow.Plain(row.Error), sqlrow.Plain(string(row.Cache)),
			row.Attempts, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Estimated, row.Took.Microseconds(), row.Prompt)
	}))
}

// addRows runs an insertion n times in one transaction, after first, if it is given. The arguments of row i are what bind
// appends.
func (s *Store) addRows(ctx context.Context, first func(*sql.Tx) error, query string, n int, bind func(i int, args []any) []any) error {
	db, err := s.database(ctx)
	if err != nil || n == 0 {
		return err
	}
	return db.transact(ctx, func(tx *sql.Tx) error {
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		insert, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer insert.Close()
		var args []any
		for i := range n {
			args = bind(i, args[:0])
			if err := execute(ctx, insert, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage lists sums of minutes in [from, to), oldest first, at most limit of them.
func (s *Store) Usage(ctx context.Context, from, to time.Time, limit int) ([]gateway.UsageRow, error) {
	rows, err := list(ctx, s, sqlrow.ScanUsage, sqlrow.SelectUsage, sqlrow.CeilSeconds(from), sqlrow.CeilSeconds(to), limit)
	return rows, annotate("listing usage", err)
}

// Calls lists the request log of [from, to), oldest first, at most limit rows.
func (s *Store) Calls(ctx context.Context, from, to time.Time, limit int) ([]gateway.CallRow, error) {
	rows, err := list(ctx, s, sqlrow.ScanCall, sqlrow.SelectCalls, sqlrow.CeilMillis(from), sqlrow.CeilMillis(to), limit)
	return rows, annotate("listing the request log", err)
}

func list[Row any](ctx context.Context, s *Store, scan func(sqlrow.Row) (Row, error), query string, from, to int64, limit int) ([]Row, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.read.QueryContext(ctx, query, from, to, max(limit, 0))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var listed []Row
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		listed = append(listed, row)
	}
	return listed, rows.Err()
}

// Prune removes up to limit rows that are older than before, oldest first, and returns how many it removed. Their
// space in the file is used again; the file does not shrink.
func (s *Store) Prune(ctx context.Context, what gateway.Retained, before time.Time, limit int) (int, error) {
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
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	result, err := db.write.ExecContext(ctx, query, bound, max(limit, 0))
	if err != nil {
		return 0, fmt.Errorf("pruning %s: %w", what, err)
	}
	removed, err := result.RowsAffected()
	return int(removed), err
}

var _ gateway.Ledger = (*Store)(nil)
