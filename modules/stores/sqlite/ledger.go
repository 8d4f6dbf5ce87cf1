package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	addUsage = `INSERT INTO usage (minute, key_id, team, surface, provider, model,
			calls, failures, cache_hits, input, cache_read, cache_write, output, reasoning, estimated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (minute, key_id, team, surface, provider, model) DO UPDATE SET
			calls = usage.calls + excluded.calls, failures = usage.failures + excluded.failures,
			cache_hits = usage.cache_hits + excluded.cache_hits, input = usage.input + excluded.input,
			cache_read = usage.cache_read + excluded.cache_read, cache_write = usage.cache_write + excluded.cache_write,
			output = usage.output + excluded.output, reasoning = usage.reasoning + excluded.reasoning,
			estimated = usage.estimated OR excluded.estimated`

	addCall = `INSERT INTO calls (id, at, key_id, team, surface, provider, model, upstream, status, error, cache, attempts,
			input, cache_read, cache_write, output, reasoning, estimated, took, prompt)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (id) DO NOTHING`

	selectUsage = `SELECT minute, key_id, team, surface, provider, model,
			calls, failures, cache_hits, input, cache_read, cache_write, output, reasoning, estimated
		FROM usage WHERE minute >= $1 AND minute < $2
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $3`

	selectCalls = `SELECT id, at, key_id, team, surface, provider, model, upstream, status, error, cache, attempts,
			input, cache_read, cache_write, output, reasoning, estimated, took, prompt
		FROM calls WHERE at >= $1 AND at < $2 ORDER BY at, id LIMIT $3`

	pruneUsage = `DELETE FROM usage WHERE (minute, key_id, team, surface, provider, model) IN (
		SELECT minute, key_id, team, surface, provider, model FROM usage WHERE minute < $1
		ORDER BY minute, key_id, team, surface, provider, model LIMIT $2)`

	pruneCalls = `DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < $1 ORDER BY at, id LIMIT $2)`
)

// AddUsage adds rows to the sums of their minute, key, surface, provider and model, in one transaction. Text that
// PostgreSQL could not keep, which is NUL and what is not UTF-8, becomes U+FFFD, so that the schemas stay alike.
func (s *Store) AddUsage(ctx context.Context, rows []gateway.UsageRow) error {
	return annotate("adding usage", s.addRows(ctx, addUsage, len(rows), func(i int, args []any) []any {
		row := &rows[i]
		u := &row.Usage
		return append(args, row.Minute.Truncate(time.Minute).Unix(), plain(row.KeyID), plain(row.Team), plain(row.Surface),
			plain(row.Provider), plain(row.Model), row.Calls, row.Failures, row.CacheHits,
			u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Estimated)
	}))
}

// AddCalls appends to the request log in one transaction; a row whose id is there already is left out. It keeps
// when a call was to the millisecond, how long it took to the microsecond, and text as AddUsage does.
func (s *Store) AddCalls(ctx context.Context, rows []gateway.CallRow) error {
	return annotate("adding to the request log", s.addRows(ctx, addCall, len(rows), func(i int, args []any) []any {
		row := &rows[i]
		u := &row.Usage
		return append(args, plain(row.ID), row.At.UnixMilli(), plain(row.KeyID), plain(row.Team), plain(row.Surface),
			plain(row.Provider), plain(row.Model), plain(row.Upstream), row.Status, plain(row.Error), plain(string(row.Cache)),
			row.Attempts, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Estimated, row.Took.Microseconds(), row.Prompt)
	}))
}

// addRows runs an insertion n times in one transaction. The arguments of row i are what bind appends.
func (s *Store) addRows(ctx context.Context, query string, n int, bind func(i int, args []any) []any) error {
	db, err := s.database(ctx)
	if err != nil || n == 0 {
		return err
	}
	return db.transact(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer insert.Close()
		var args []any
		for i := range n {
			args = bind(i, args[:0])
			if _, err := insert.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage lists sums of minutes in [from, to), oldest first, at most limit of them.
func (s *Store) Usage(ctx context.Context, from, to time.Time, limit int) ([]gateway.UsageRow, error) {
	rows, err := list(ctx, s, selectUsage, ceilSeconds(from), ceilSeconds(to), limit, func(rows *sql.Rows, row *gateway.UsageRow) error {
		var minute int64
		u := &row.Usage
		err := rows.Scan(&minute, &row.KeyID, &row.Team, &row.Surface, &row.Provider, &row.Model, &row.Calls, &row.Failures,
			&row.CacheHits, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output, &u.Reasoning, &u.Estimated)
		row.Minute = time.Unix(minute, 0).UTC()
		return err
	})
	return rows, annotate("listing usage", err)
}

// Calls lists the request log of [from, to), oldest first, at most limit rows.
func (s *Store) Calls(ctx context.Context, from, to time.Time, limit int) ([]gateway.CallRow, error) {
	rows, err := list(ctx, s, selectCalls, ceilMillis(from), ceilMillis(to), limit, func(rows *sql.Rows, row *gateway.CallRow) error {
		var at, took int64
		u := &row.Usage
		err := rows.Scan(&row.ID, &at, &row.KeyID, &row.Team, &row.Surface, &row.Provider, &row.Model, &row.Upstream,
			&row.Status, &row.Error, &row.Cache, &row.Attempts, &u.Input, &u.CacheRead, &u.CacheWrite, &u.Output,
			&u.Reasoning, &u.Estimated, &took, &row.Prompt)
		row.At, row.Took = time.UnixMilli(at).UTC(), time.Duration(took)*time.Microsecond
		return err
	})
	return rows, annotate("listing the request log", err)
}

func list[Row any](ctx context.Context, s *Store, query string, from, to int64, limit int, scan func(*sql.Rows, *Row) error) ([]Row, error) {
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
		var row Row
		if err := scan(rows, &row); err != nil {
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
		query, bound = pruneUsage, ceilSeconds(before)
	case gateway.RetainedCalls:
		query, bound = pruneCalls, ceilMillis(before)
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

// ceilSeconds is the first whole second that is not before t: stored times are whole, and bounds need not be.
func ceilSeconds(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

// ceilMillis is the first whole millisecond that is not before t.
func ceilMillis(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// plain is text as every database can keep it.
func plain(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

var _ gateway.Ledger = (*Store)(nil)
