package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
)

const (
	addUsage = `INSERT INTO usage (` + sqlrow.UsageColumns + `)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
			$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::boolean[])` + sqlrow.AddToSum

	addCalls = `INSERT INTO calls (` + sqlrow.CallColumns + `)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
			$17::bigint[], $18::boolean[], $19::bigint[], $20::bytea[])
		ON CONFLICT (id) DO NOTHING`

	// usageBatch and callsBatch bound what one statement does, for its timeout's sake; a call may carry a prompt.
	usageBatch = 5000
	callsBatch = 500

	// recordTimeout bounds one addition of rows, which may be what gathered while the server was away. Close waits for
	// it as it does for other calls.
	recordTimeout = 30 * time.Second
)

// AddUsage adds rows to the sums of their minute, key, surface, provider and model, in one transaction, unless the batch was
// added before. NUL and what is not UTF-8, which PostgreSQL cannot keep in text, becomes U+FFFD.
func (s *Store) AddUsage(ctx context.Context, batch gateway.Batch, rows []gateway.UsageRow) error {
	rows = merge(rows)
	if len(rows) == 0 {
		return nil
	}
	return s.record(ctx, "adding usage", func(ctx context.Context, tx pgx.Tx) error {
		// Where a connection broke, its transaction may still be on: then this waits for its end.
		taken, err := tx.Exec(ctx, sqlrow.TakeBatch, batch.Writer, batch.Number, s.now().Unix())
		if err != nil || taken.RowsAffected() == 0 {
			return err
		}
		for some := range slices.Chunk(rows, usageBatch) {
			if _, err := tx.Exec(ctx, addUsage, usageColumns(some)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddCalls appends to the request log in one transaction; a row whose id is there already is left out. It keeps
// when a call was to the millisecond, how long it took to the microsecond, and text as AddUsage does.
func (s *Store) AddCalls(ctx context.Context, rows []gateway.CallRow) error {
	if len(rows) == 0 {
		return nil
	}
	return s.record(ctx, "adding to the request log", func(ctx context.Context, tx pgx.Tx) error {
		for some := range slices.Chunk(rows, callsBatch) {
			if _, err := tx.Exec(ctx, addCalls, callColumns(some)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// record runs do in one transaction, which is kept only if do returns no error.
func (s *Store) record(ctx context.Context, doing string, do func(context.Context, pgx.Tx) error) error {
	pool, err := s.database(ctx)
	if err != nil {
		return fmt.Errorf("opening PostgreSQL database: %w", err)
	}
	working, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	tx, err := pool.Begin(working)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err = do(working, tx)
	// From here on the end of ctx is ignored: who gives up on a commit cannot know whether it took place.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err == nil {
		err = working.Err()
	}
	if err != nil {
		tx.Rollback(ending) //nolint:errcheck // if it fails, so does the connection, and the server rolls back
	} else {
		err = tx.Commit(ending)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// merge returns rows as they are stored, one for each sum. They are in one order, whoever adds them, so that
// gateways that add to the same sums wait for each other and never in a circle.
func merge(rows []gateway.UsageRow) []gateway.UsageRow {
	rows = slices.Clone(rows)
	for i := range rows {
		r := &rows[i]
		r.Minute = r.Minute.Truncate(time.Minute)
		r.KeyID, r.Team, r.Surface, r.Provider, r.Model = sqlrow.Plain(r.KeyID), sqlrow.Plain(r.Team), sqlrow.Plain(r.Surface), sqlrow.Plain(r.Provider), sqlrow.Plain(r.Model)
	}
	slices.SortFunc(rows, compareSums)
	merged := rows[:0]
	for _, r := range rows {
		if last := len(merged) - 1; last >= 0 && compareSums(merged[last], r) == 0 {
			sum := &merged[last]
			sum.Calls += r.Calls
			sum.Failures += r.Failures
			sum.CacheHits += r.CacheHits
			sum.Usage = sum.Usage.Add(r.Usage)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}

// compareSums orders rows by the sum that they belong to.
func compareSums(a, b gateway.UsageRow) int {
	return cmp.Or(a.Minute.Compare(b.Minute), strings.Compare(a.KeyID, b.KeyID), strings.Compare(a.Team, b.Team),
		strings.Compare(a.Surface, b.Surface), strings.Compare(a.Provider, b.Provider), strings.Compare(a.Model, b.Model))
}

func usageColumns(rows []gateway.UsageRow) []any {
	type row = gateway.UsageRow
	return []any{
		column(rows, func(r *row) int64 { return r.Minute.Unix() }),
		column(rows, func(r *row) string { return r.KeyID }),
		column(rows, func(r *row) string { return r.Team }),
		column(rows, func(r *row) string { return r.Surface }),
		column(rows, func(r *row) string { return r.Provider }),
		column(rows, func(r *row) string { return r.Model }),
		column(rows, func(r *row) int64 { return r.Calls }),
		column(rows, func(r *row) int64 { return r.Failures }),
		column(rows, func(r *row) int64 { return r.CacheHits }),
		column(rows, func(r *row) int64 { return r.Usage.Input }),
		column(rows, func(r *row) int64 { return r.Usage.CacheRead }),
		column(rows, func(r *row) int64 { return r.Usage.CacheWrite }),
		column(rows, func(r *row) int64 { return r.Usage.Output }),
		column(rows, func(r *row) int64 { return r.Usage.Reasoning }),
		column(rows, func(r *row) bool { return r.Usage.Estimated }),
	}
}

func callColumns(rows []gateway.CallRow) []any {
	type row = gateway.CallRow
	return []any{
		column(rows, func(r *row) string { return sqlrow.Plain(r.ID) }),
		column(rows, func(r *row) int64 { return r.At.UnixMilli() }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.KeyID) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Team) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Surface) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Provider) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Model) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Upstream) }),
		column(rows, func(r *row) int64 { return int64(r.Status) }),
		column(rows, func(r *row) string { return sqlrow.Plain(r.Error) }),
		column(rows, func(r *row) string { return sqlrow.Plain(string(r.Cache)) }),
		column(rows, func(r *row) int64 { return int64(r.Attempts) }),
		column(rows, func(r *row) int64 { return r.Usage.Input }),
		column(rows, func(r *row) int64 { return r.Usage.CacheRead }),
		column(rows, func(r *row) int64 { return r.Usage.CacheWrite }),
		column(rows, func(r *row) int64 { return r.Usage.Output }),
		column(rows, func(r *row) int64 { return r.Usage.Reasoning }),
		column(rows, func(r *row) bool { return r.Usage.Estimated }),
		column(rows, func(r *row) int64 { return r.Took.Microseconds() }),
		column(rows, func(r *row) []byte { return r.Prompt }),
	}
}

// column takes one value from each row.
func column[Row, Value any](rows []Row, of func(*Row) Value) []Value {
	values := make([]Value, len(rows))
	for i := range rows {
		values[i] = of(&rows[i])
	}
	return values
}
