package postgres

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/sqlrow"
	"github.com/caddy-llm/caddy-llm/modules/stores/storetest"
)

func TestStoreBehavesAsALedger(t *testing.T) {
	storetest.Ledger(t, func(t *testing.T) gateway.Ledger { return newStore(t) })
}

func TestLedgerSchemaIsSQLites(t *testing.T) {
	for _, name := range []string{"0002_ledger.sql", "0003_writers.sql"} {
		t.Run(name, func(t *testing.T) { sameSchema(t, name) })
	}
}

func sameSchema(t *testing.T, name string) {
	theirs, err := os.ReadFile("../sqlite/schema/" + name)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := schemaFiles.ReadFile("schema/" + name)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := strings.Cut(string(theirs), "CREATE")
	want = strings.NewReplacer("BLOB", "BYTEA", ") WITHOUT ROWID", ")").Replace(strings.Join(strings.Fields(want), " "))
	_, got, _ := strings.Cut(string(ours), "CREATE")
	if got = strings.Join(strings.Fields(got), " "); got != want {
		t.Errorf("got schema\n%s\nwant\n%s", got, want)
	}
}

// The row that is refused is in the second statement of the transaction.
func TestBatchWithARowThatIsRefusedLeavesNothing(t *testing.T) {
	store := newStore(t)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"usage", "calls"} {
		execute(t, store.config.ConnString(), `ALTER TABLE `+table+` ADD CONSTRAINT refusal CHECK (model <> 'refused')`)
	}
	now := time.Now()
	usage := make([]gateway.UsageRow, usageBatch+1)
	for i := range usage {
		usage[i].Minute = now.Add(time.Duration(i) * time.Minute)
	}
	usage[usageBatch].Model = "refused"
	calls := make([]gateway.CallRow, callsBatch+1)
	for i := range calls {
		calls[i].ID, calls[i].At = gateway.NewSecret(""), now
	}
	calls[callsBatch].Model = "refused"
	for kind, err := range map[string]error{
		"usage": store.AddUsage(t.Context(), gateway.Batch{Writer: "test", Number: 1}, usage), "calls": store.AddCalls(t.Context(), calls),
	} {
		if err == nil || !strings.Contains(err.Error(), `"refusal"`) {
			t.Errorf("adding %s: got error %v", kind, err)
		}
	}
	end := now.AddDate(1, 0, 0)
	if rows, err := store.Usage(t.Context(), time.Time{}, end, 10); err != nil || len(rows) > 0 {
		t.Errorf("got usage %+v and error %v", rows, err)
	}
	if rows, err := store.Calls(t.Context(), time.Time{}, end, 10); err != nil || len(rows) > 0 {
		t.Errorf("got calls %+v and error %v", rows, err)
	}
}

// Somebody who reads for long, or prunes too, must not hold up who prunes.
func TestPruningPassesOverRowsThatAreBeingPruned(t *testing.T) {
	store := newStore(t)
	minute := time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	rows := make([]gateway.UsageRow, 5)
	for i := range rows {
		rows[i].Minute = minute.Add(time.Duration(i) * time.Minute)
	}
	if err := store.AddUsage(t.Context(), gateway.Batch{Writer: "test", Number: 1}, rows); err != nil {
		t.Fatal(err)
	}
	other, err := connect(t, store.config.ConnString()).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), pruneUsage, time.Now().Unix(), 2); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Prune(t.Context(), gateway.RetainedUsage, time.Now(), 2); err != nil || n != 2 {
		t.Errorf("pruned %d rows with error %v, want 2", n, err)
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := store.Usage(t.Context(), time.Time{}, time.Now(), 10)
	if err != nil || len(left) != 1 || !left[0].Minute.Equal(rows[4].Minute) {
		t.Errorf("got %+v and error %v, want the latest row", left, err)
	}
}

func TestLedgerIsListedAndPrunedByIndex(t *testing.T) {
	store := newStore(t)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	url := store.config.ConnString()
	execute(t, url, `INSERT INTO usage SELECT n * 60, '', '', '', '', '', 1, 0, 0, 0, 0, 0, 0, 0, false FROM generate_series(1, 20000) n`)
	execute(t, url, `INSERT INTO calls SELECT 'id_' || n, n, '', '', '', '', '', '', 200, '', '', 1, 0, 0, 0, 0, 0, false, 0, NULL
		FROM generate_series(1, 20000) n`)
	execute(t, url, `ANALYZE`)
	conn := connect(t, url)
	for name, query := range map[string]struct {
		text string
		args []any
	}{
		"list usage":  {sqlrow.SelectUsage, []any{int64(600_000), int64(1_200_000), 10}},
		"list calls":  {sqlrow.SelectCalls, []any{int64(10_000), int64(20_000), 10}},
		"prune usage": {pruneUsage, []any{int64(600_000), 10}},
		"prune calls": {pruneCalls, []any{int64(10_000), 10}},
	} {
		rows, err := conn.Query(t.Context(), "EXPLAIN "+query.text, query.args...)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") || strings.Contains(text, "Sort") {
			t.Errorf("%s reads a whole table or sorts:\n%s", name, text)
		}
	}
}

func BenchmarkAddUsage(b *testing.B) {
	storetest.BenchmarkAddUsage(b, func(b *testing.B) gateway.Ledger { return newStore(b) })
}

func BenchmarkAddCalls(b *testing.B) {
	storetest.BenchmarkAddCalls(b, func(b *testing.B) gateway.Ledger { return newStore(b) })
}
