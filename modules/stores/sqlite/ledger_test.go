package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsALedger(t *testing.T) {
	storetest.Ledger(t, func(t *testing.T) gateway.Ledger { return newStore(t) })
}

func TestBatchWithARowThatIsRefusedLeavesNothing(t *testing.T) {
	store := newStore(t)
	for _, table := range []string{"usage", "calls"} {
		if _, err := handles(t, store).write.ExecContext(t.Context(), `CREATE TRIGGER refuse_`+table+` BEFORE INSERT ON `+table+`
			WHEN new.model = 'refused' BEGIN SELECT raise(ABORT, 'refused by a trigger'); END`); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for kind, err := range map[string]error{
		"usage": store.AddUsage(t.Context(), gateway.Batch{Writer: "test", Number: 1}, []gateway.UsageRow{{Minute: now, Model: "kept"}, {Minute: now, Model: "refused"}}),
		"calls": store.AddCalls(t.Context(), []gateway.CallRow{{ID: "a", At: now}, {ID: "b", At: now, Model: "refused"}}),
	} {
		if err == nil || !strings.Contains(err.Error(), "refused by a trigger") {
			t.Errorf("adding %s: got error %v", kind, err)
		}
	}
	usage, err := store.Usage(t.Context(), time.Time{}, now.Add(time.Hour), 10)
	if err != nil || len(usage) > 0 {
		t.Errorf("got usage %+v and error %v", usage, err)
	}
	calls, err := store.Calls(t.Context(), time.Time{}, now.Add(time.Hour), 10)
	if err != nil || len(calls) > 0 {
		t.Errorf("got calls %+v and error %v", calls, err)
	}
}

func TestLedgerIsListedAndPrunedByIndex(t *testing.T) {
	db := handles(t, newStore(t))
	for name, query := range map[string]struct {
		on   *sql.DB
		text string
		args []any
	}{
		"list usage":  {db.read, sqlrow.SelectUsage, []any{1, 2, 10}},
		"list calls":  {db.read, sqlrow.SelectCalls, []any{1, 2, 10}},
		"prune usage": {db.write, pruneUsage, []any{1, 10}},
		"prune calls": {db.write, pruneCalls, []any{1, 10}},
	} {
		rows, err := query.on.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query.text, query.args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: reads a whole table or sorts: %s", name, step)
			}
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}

// ending is a context that is over once it was looked at a number of times. Nobody can wait for its end.
type ending struct {
	context.Context
	looks atomic.Int64
}

func (e *ending) Err() error {
	if e.looks.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestABatchWhoseContextEndsOnTheWayIsNotWritten(t *testing.T) {
	store := newStore(t)
	rows := make([]gateway.UsageRow, 1000)
	for i := range rows {
		rows[i] = gateway.UsageRow{Minute: time.Unix(60, 0), KeyID: strconv.Itoa(i), Calls: 1}
	}
	ctx := &ending{Context: t.Context()}
	ctx.looks.Store(int64(len(rows) / 2))
	if err := store.AddUsage(ctx, gateway.Batch{Writer: gateway.NewWriter(), Number: 1}, rows); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	written, err := store.Usage(t.Context(), time.Unix(0, 0), time.Unix(3600, 0), len(rows))
	if err != nil || len(written) > 0 {
		t.Errorf("%d rows are there, %v", len(written), err)
	}
}
