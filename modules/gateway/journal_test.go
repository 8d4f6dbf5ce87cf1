package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// fakeLedger keeps rows, or refuses them.
type fakeLedger struct {
	mu     sync.Mutex
	down   bool
	cutOff bool // rows are taken, and who sent them does not hear of it
	last   map[string]int64
	usage  []UsageRow
	calls  []CallRow
	pruned map[Retained]int
}

var errLedgerDown = errors.New("down")

func (l *fakeLedger) AddUsage(_ context.Context, batch Batch, rows []UsageRow) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errLedgerDown
	}
	if l.last == nil {
		l.last = make(map[string]int64)
	}
	if batch.Number > l.last[batch.Writer] {
		l.last[batch.Writer] = batch.Number
		l.usage = append(l.usage, rows...)
	}
	if l.cutOff {
		return errLedgerDown
	}
	return nil
}

func (l *fakeLedger) AddCalls(_ context.Context, rows []CallRow) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errLedgerDown
	}
	for _, row := range rows {
		if !slices.ContainsFunc(l.calls, func(c CallRow) bool { return c.ID == row.ID }) {
			l.calls = append(l.calls, row)
		}
	}
	if l.cutOff {
		return errLedgerDown
	}
	return nil
}

func (l *fakeLedger) Usage(context.Context, time.Time, time.Time, int) ([]UsageRow, error) {
	return l.usage, nil
}

func (l *fakeLedger) Calls(context.Context, time.Time, time.Time, int) ([]CallRow, error) {
	return l.calls, nil
}

// Prune has three full batches and a half one of each sort to remove.
func (l *fakeLedger) Prune(_ context.Context, what Retained, _ time.Time, limit int) (int, error) {
	if l.pruned == nil {
		l.pruned = make(map[Retained]int)
	}
	if l.pruned[what]++; l.pruned[what] > 3 {
		return limit / 2, nil
	}
	return limit, nil
}

func journalTo(t *testing.T, ledger Ledger, config LedgerConfig) *journal {
	t.Helper()
	if err := config.provision(); err != nil {
		t.Fatal(err)
	}
	m, err := registerMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return newJournal(ledger, &config, m, zap.NewNop())
}

func overCall(i int) *Call {
	return &Call{
		ID: fmt.Sprint("id-", i), Surface: ChatCompletions, Started: time.Unix(1_760_000_000, 0), Status: http.StatusOK, Route: &Route{Name: "fast"},
		Key: &Key{ID: fmt.Sprint("key_", i%3), Team: "red"}, Model: "fast", Provider: "up", Usage: dialect.Usage{Input: 3, Output: 2},
	}
}

func TestUsageOfManyCallsIsOneSumForEachKeyAndMinute(t *testing.T) {
	ledger := new(fakeLedger)
	j := journalTo(t, ledger, LedgerConfig{})
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			c := overCall(i)
			if i%10 == 0 {
				c.Status, c.Usage = http.StatusBadGateway, dialect.Usage{}
			}
			j.note(c)
		})
	}
	wg.Wait()
	j.note(&Call{Surface: Health, Started: time.Now()})                                           // asks no model
	j.note(&Call{Surface: ChatCompletions, Started: time.Now(), Status: http.StatusUnauthorized}) // a stranger
	j.flush(t.Context())
	if len(ledger.usage) != 3 || len(ledger.calls) != 0 {
		t.Fatalf("%d sums and %d calls were written", len(ledger.usage), len(ledger.calls))
	}
	for _, row := range ledger.usage {
		want := UsageRow{
			Minute: time.Unix(1_760_000_000/60*60, 0).UTC(), KeyID: row.KeyID, Team: "red", Surface: "chat_completions", Provider: "up", Model: "fast",
			Calls: 100, Failures: 10, Usage: dialect.Usage{Input: 270, Output: 180},
		}
		if row != want {
			t.Errorf("the sum is %+v, want %+v", row, want)
		}
	}
}

func TestWhatTheLedgerDoesNotTakeIsWrittenLater(t *testing.T) {
	ledger := &fakeLedger{down: true}
	j := journalTo(t, ledger, LedgerConfig{RequestLog: true})
	for i := range 10 {
		j.note(overCall(i))
		j.flush(t.Context())
	}
	ledger.down = false
	j.flush(t.Context())
	j.flush(t.Context())
	var calls int64
	for _, row := range ledger.usage {
		calls += row.Calls
	}
	if calls != 10 || len(ledger.calls) != 10 {
		t.Errorf("%d calls in sums and %d in the log, want 10 each, once", calls, len(ledger.calls))
	}
}

// Whether the ledger took a batch of which it said nothing cannot be known, so it is sent again as it was.
func TestEachCallIsWrittenOnceWhateverBecomesOfItsBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ledger := new(fakeLedger)
		j := journalTo(t, ledger, LedgerConfig{RequestLog: true})
		noted := 0
		rt.Repeat(map[string]func(*rapid.T){
			"note": func(rt *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(rt, "calls") {
					j.note(overCall(noted))
					noted++
				}
			},
			"flush": func(rt *rapid.T) {
				ledger.down, ledger.cutOff = false, false
				switch rapid.IntRange(0, 2).Draw(rt, "fault") {
				case 1:
					ledger.down = true
				case 2:
					ledger.cutOff = true
				}
				j.flush(t.Context())
			},
		})
		ledger.down, ledger.cutOff = false, false
		j.flush(t.Context())
		var calls int64
		for _, row := range ledger.usage {
			calls += row.Calls
		}
		if calls != int64(noted) || len(ledger.calls) != noted {
			rt.Fatalf("%d calls in sums and %d in the log, want %d each", calls, len(ledger.calls), noted)
		}
	})
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	j := journalTo(t, &fakeLedger{down: true}, LedgerConfig{RequestLog: true})
	before := testutil.ToFloat64(j.metrics.dropped.WithLabelValues("calls"))
	for i := range maxCalls + 7 {
		j.note(overCall(i))
	}
	if dropped := testutil.ToFloat64(j.metrics.dropped.WithLabelValues("calls")) - before; dropped != 7 || len(j.calls) != maxCalls {
		t.Errorf("%v were counted as dropped, %d are kept", dropped, len(j.calls))
	}
}

func TestTheEndSaysWhatIsLost(t *testing.T) {
	ledger := new(fakeLedger)
	j := journalTo(t, ledger, LedgerConfig{RequestLog: true})
	core, logs := observer.New(zap.ErrorLevel)
	j.log = zap.New(core)
	j.note(overCall(0))
	j.end(t.Context())
	if logs.Len() > 0 {
		t.Errorf("nothing was lost, and the log says %v", logs.All())
	}
	ledger.down = true
	j.note(overCall(1))
	j.flush(t.Context()) // on its way
	j.note(overCall(2))
	j.end(t.Context())
	lost := logs.FilterMessageSnippet("is lost").All()
	if len(lost) != 1 || lost[0].ContextMap()["sums"] != int64(2) || lost[0].ContextMap()["calls"] != int64(2) {
		t.Errorf("two sums and two calls were lost, and the log says %v", logs.All())
	}
}

func TestPromptsAreKeptOnlyIfAskedForAndRedacted(t *testing.T) {
	text := `{"prompt":"my number is 555-1234, my key is sp_` + strings.Repeat("ab", 32) + `"}`
	for _, tt := range []struct {
		config LedgerConfig
		want   string
	}{
		{LedgerConfig{RequestLog: true}, ""},
		{LedgerConfig{RequestLog: true, Prompts: true}, `{"prompt":"my number is 555-1234, my key is [redacted]"}`},
		{LedgerConfig{RequestLog: true, Prompts: true, Redact: []string{`\d{3}-\d{4}`}}, `{"prompt":"my number is [redacted], my key is [redacted]"}`},
	} {
		ledger := new(fakeLedger)
		j := journalTo(t, ledger, tt.config)
		c := overCall(1)
		c.body = &body{buf: []byte(text)}
		j.note(c)
		j.flush(t.Context())
		if got := string(ledger.calls[0].Prompt); got != tt.want {
			t.Errorf("the prompt is kept as %q, want %q", got, tt.want)
		}
	}
}

func TestLedgerOptionsThatWouldDoNothingAreRefused(t *testing.T) {
	for _, config := range []LedgerConfig{{Prompts: true}, {RequestLog: true, Redact: []string{"a"}}, {RequestLog: true, Prompts: true, Redact: []string{"("}}} {
		if config.provision() == nil {
			t.Errorf("%+v was taken", config)
		}
	}
}

func TestPruningGoesOnUntilNothingIsLeft(t *testing.T) {
	ledger := new(fakeLedger)
	journalTo(t, ledger, LedgerConfig{}).prune(t.Context())
	for _, what := range []Retained{RetainedUsage, RetainedCalls, RetainedWriters} {
		if ledger.pruned[what] != 4 {
			t.Errorf("batches: %v", ledger.pruned)
		}
	}
}

func BenchmarkNote(b *testing.B) {
	m, err := registerMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	j := newJournal(new(fakeLedger), new(LedgerConfig), m, zap.NewNop())
	c := overCall(1)
	b.ReportAllocs()
	for b.Loop() {
		j.note(c)
	}
}
