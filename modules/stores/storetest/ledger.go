package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// everything is more rows than any check of the suite stores.
const everything = 1_000_000

// Ledger runs the behaviour suite of ledgers. Each call of open must return a ledger that holds nothing yet, and
// must see to its end itself.
func Ledger(t *testing.T, open func(t *testing.T) gateway.Ledger) {
	for _, test := range []struct {
		behaviour string
		check     func(*ledgerSuite)
	}{
		{"usage of one minute, key, surface, provider and model is summed up", (*ledgerSuite).sums},
		{"a row counts for the minute that it lies in", (*ledgerSuite).withinMinute},
		{"every field survives", (*ledgerSuite).roundTrip},
		{"prompts survive to the byte", (*ledgerSuite).prompts},
		{"text that not every database can keep is replaced and refuses no batch", (*ledgerSuite).strangeText},
		{"a batch that comes again is added once", (*ledgerSuite).again},
		{"a batch that comes again at the same time is added once", (*ledgerSuite).againAtOnce},
		{"a writer that was silent for long is forgotten", (*ledgerSuite).pruningWriters},
		{"a call is logged once", (*ledgerSuite).duplicates},
		{"lists are half open and bounded", (*ledgerSuite).ranges},
		{"pruning takes the oldest first and only what is older", (*ledgerSuite).pruning},
		{"pruning takes one kind of rows", (*ledgerSuite).pruningKinds},
		{"empty batches are nothing", (*ledgerSuite).empty},
		{"batches may be big", (*ledgerSuite).big},
		{"concurrent writers lose nothing", (*ledgerSuite).concurrent},
		{"any sequence of calls agrees with a model", (*ledgerSuite).agreesWithModel},
		{"a cancelled context ends every call", (*ledgerSuite).cancelled},
		{"a batch that is interrupted leaves nothing", (*ledgerSuite).interrupted},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			test.check(&ledgerSuite{T: t, ledger: open(t), minute: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC), batch: gateway.Batch{Writer: "suite"}})
		})
	}
}

type ledgerSuite struct {
	*testing.T
	ledger gateway.Ledger
	minute time.Time
	batch  gateway.Batch // the last one
}

// tally is usage of one call at a number of minutes from the suite's.
func (s *ledgerSuite) tally(minutes int) gateway.UsageRow {
	return gateway.UsageRow{
		Minute: s.minute.Add(time.Duration(minutes) * time.Minute),
		KeyID:  "key_1", Team: "platform", Surface: "openai", Provider: "first", Model: "smart",
		Calls: 1, Usage: dialect.Usage{Input: 100, Output: 10},
	}
}

// call is a logged call at a number of minutes from the suite's.
func (s *ledgerSuite) call(id string, minutes int) gateway.CallRow {
	return gateway.CallRow{
		ID: id, At: s.minute.Add(time.Duration(minutes) * time.Minute), KeyID: "key_1", Team: "platform", Surface: "openai",
		Provider: "first", Model: "smart", Upstream: "smart-2026", Status: 200, Cache: gateway.CacheMiss, Attempts: 1,
		Usage: dialect.Usage{Input: 100, Output: 10}, Took: 1500 * time.Millisecond,
	}
}

func (s *ledgerSuite) addUsage(rows ...gateway.UsageRow) {
	s.Helper()
	s.addBatch(s.nextBatch(), rows...)
}

// nextBatch is one that was not added yet.
func (s *ledgerSuite) nextBatch() gateway.Batch {
	s.batch.Number++
	return s.batch
}

func (s *ledgerSuite) addBatch(batch gateway.Batch, rows ...gateway.UsageRow) {
	s.Helper()
	if err := s.ledger.AddUsage(s.Context(), batch, rows); err != nil {
		s.Fatalf("adding usage: %v", err)
	}
}

func (s *ledgerSuite) addCalls(rows ...gateway.CallRow) {
	s.Helper()
	if err := s.ledger.AddCalls(s.Context(), rows); err != nil {
		s.Fatalf("adding calls: %v", err)
	}
}

// future is later than anything that the suite stores.
func (s *ledgerSuite) future() time.Time { return s.minute.AddDate(500, 0, 0) }

func (s *ledgerSuite) usage() []gateway.UsageRow {
	s.Helper()
	rows, err := s.ledger.Usage(s.Context(), time.Time{}, s.future(), everything)
	if err != nil {
		s.Fatalf("listing usage: %v", err)
	}
	return rows
}

func (s *ledgerSuite) calls() []gateway.CallRow {
	s.Helper()
	rows, err := s.ledger.Calls(s.Context(), time.Time{}, s.future(), everything)
	if err != nil {
		s.Fatalf("listing calls: %v", err)
	}
	return rows
}

func (s *ledgerSuite) holdsUsage(want ...gateway.UsageRow) {
	s.Helper()
	if got := s.usage(); !slices.Equal(got, want) {
		s.Fatalf("got usage\n%+v, want\n%+v", got, want)
	}
}

func (s *ledgerSuite) holdsCalls(want ...gateway.CallRow) {
	s.Helper()
	if got := s.calls(); !reflect.DeepEqual(got, want) {
		s.Fatalf("got calls\n%+v, want\n%+v", got, want)
	}
}

func (s *ledgerSuite) sums() {
	one := s.tally(0)
	one.Calls, one.Failures, one.CacheHits = 3, 1, 1
	one.Usage = dialect.Usage{Input: 1, CacheRead: 20, CacheWrite: 300, Output: 4000, Reasoning: 50_000}
	two := one
	two.Calls, two.Failures, two.CacheHits = 40, 20, 10
	two.Usage = dialect.Usage{Input: 600_000, CacheRead: 50_000, CacheWrite: 4000, Output: 300, Reasoning: 20, Estimated: true}
	sum := one
	sum.Calls, sum.Failures, sum.CacheHits = 46, 22, 12
	sum.Usage = dialect.Usage{Input: 600_002, CacheRead: 50_040, CacheWrite: 4600, Output: 8300, Reasoning: 100_020, Estimated: true}
	s.addUsage(one, two)
	s.addUsage(one)
	s.holdsUsage(sum) // once estimated, a sum stays so

	for name, differ := range map[string]func(*gateway.UsageRow){
		"minute": func(r *gateway.UsageRow) { r.Minute = r.Minute.Add(time.Minute) }, "key": func(r *gateway.UsageRow) { r.KeyID = "" },
		"team": func(r *gateway.UsageRow) { r.Team = "" }, "surface": func(r *gateway.UsageRow) { r.Surface = "" },
		"provider": func(r *gateway.UsageRow) { r.Provider = "" }, "model": func(r *gateway.UsageRow) { r.Model = "" },
	} {
		other := two
		differ(&other)
		s.addUsage(other)
		if rows := s.usage(); !slices.Contains(rows, sum) || !slices.Contains(rows, other) {
			s.Errorf("another %s: got\n%+v, want a sum of its own", name, rows)
		}
	}
}

func (s *ledgerSuite) withinMinute() {
	late := s.tally(0)
	late.Minute = late.Minute.Add(time.Minute - 1).In(time.FixedZone("", 5*3600+1800))
	s.addUsage(late, s.tally(1))
	s.holdsUsage(s.tally(0), s.tally(1))
}

func (s *ledgerSuite) prompts() {
	bytesOfAll := make([]byte, 64<<10)
	for i := range bytesOfAll {
		bytesOfAll[i] = byte(i * 7 >> 3)
	}
	prompts := [][]byte{nil, []byte(`{"model":"smart"}`), {0}, []byte("\xff\xfe"), bytesOfAll}
	want := make([]gateway.CallRow, len(prompts))
	for i, prompt := range prompts {
		want[i] = s.call(fmt.Sprint(i), i)
		want[i].Prompt = prompt
	}
	s.addCalls(want...)
	s.holdsCalls(want...)

	none := s.call("none", 100)
	none.Prompt = []byte{}
	s.addCalls(none)
	if rows := s.calls(); len(rows[len(rows)-1].Prompt) != 0 {
		s.Errorf("got prompt %q of an empty body", rows[len(rows)-1].Prompt)
	}
}

func (s *ledgerSuite) strangeText() {
	var sums []gateway.UsageRow
	var calls []gateway.CallRow
	for _, strange := range []string{"a\x00b", "a\xffb"} { // both become the same
		row, odd := s.tally(0), s.call(strange, 0)
		row.KeyID, row.Team, row.Surface, row.Provider, row.Model = strange, strange, strange, strange, strange
		odd.KeyID, odd.Team, odd.Surface, odd.Provider, odd.Model = strange, strange, strange, strange, strange
		odd.Upstream, odd.Error, odd.Cache = strange, strange, gateway.CacheResult(strange)
		sums, calls = append(sums, row), append(calls, odd)
	}
	s.addUsage(sums...)
	s.addCalls(calls...)

	const kept = "a\uFFFDb"
	sum, call := s.tally(0), s.call(kept, 0)
	sum.KeyID, sum.Team, sum.Surface, sum.Provider, sum.Model = kept, kept, kept, kept, kept
	sum.Calls, sum.Usage = 2, dialect.Usage{Input: 200, Output: 20}
	s.holdsUsage(sum)
	call.KeyID, call.Team, call.Surface, call.Provider, call.Model = kept, kept, kept, kept, kept
	call.Upstream, call.Error, call.Cache = kept, kept, kept
	s.holdsCalls(call)
}

func (s *ledgerSuite) duplicates() {
	first, other := s.call("a", 0), s.call("b", 1)
	again := s.call("a", 2)
	again.Status = 500
	s.addCalls(first, again)
	s.addCalls(again, other)
	s.holdsCalls(first, other)
}

func (s *ledgerSuite) empty() {
	for _, rows := range [][]gateway.UsageRow{nil, {}} {
		s.addUsage(rows...)
	}
	for _, rows := range [][]gateway.CallRow{nil, {}} {
		s.addCalls(rows...)
	}
	if usage, calls := s.usage(), s.calls(); len(usage) > 0 || len(calls) > 0 {
		s.Errorf("got usage %+v and calls %+v", usage, calls)
	}
	for _, what := range []gateway.Retained{gateway.RetainedUsage, gateway.RetainedCalls} {
		if n, err := s.ledger.Prune(s.Context(), what, s.future(), 10); n != 0 || err != nil {
			s.Errorf("pruning %s of an empty ledger: got %d and error %v", what, n, err)
		}
	}
}

// bigBatch is a batch of either kind, in no order.
func (s *ledgerSuite) bigBatch() ([]gateway.UsageRow, []gateway.CallRow) {
	const size, stride = 10_000, 7919 // without a common divisor
	usage, calls := make([]gateway.UsageRow, size), make([]gateway.CallRow, size)
	for i := range size {
		usage[i] = s.tally(i * stride % size)
		calls[i] = s.call(fmt.Sprintf("%032x", i), i*stride%size)
	}
	return usage, calls
}

func (s *ledgerSuite) big() {
	usage, calls := s.bigBatch()
	givenUsage, givenCalls := slices.Clone(usage), slices.Clone(calls)
	for range 2 {
		s.addUsage(usage...)
		s.addCalls(calls...)
	}
	if !slices.Equal(usage, givenUsage) || !reflect.DeepEqual(calls, givenCalls) {
		s.Error("the caller's rows were changed")
	}
	for i := range usage {
		usage[i].Calls, usage[i].Usage = 2, dialect.Usage{Input: 200, Output: 20}
	}
	slices.SortFunc(usage, func(a, b gateway.UsageRow) int { return a.Minute.Compare(b.Minute) })
	slices.SortFunc(calls, func(a, b gateway.CallRow) int { return a.At.Compare(b.At) })
	if got := s.usage(); !slices.Equal(got, usage) {
		s.Errorf("got %d sums, want %d, of two calls each", len(got), len(usage))
	}
	same := func(a, b gateway.CallRow) bool {
		return a.ID == b.ID && a.At.Equal(b.At) && bytes.Equal(a.Prompt, b.Prompt)
	}
	if got := s.calls(); !slices.EqualFunc(got, calls, same) {
		s.Errorf("got %d calls, want the %d", len(got), len(calls))
	}
}

func (s *ledgerSuite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for range 2 {
		errs := make(map[string]error)
		errs["AddUsage"] = s.ledger.AddUsage(ctx, s.nextBatch(), []gateway.UsageRow{s.tally(0)})
		errs["AddCalls"] = s.ledger.AddCalls(ctx, []gateway.CallRow{s.call("a", 0)})
		_, errs["Usage"] = s.ledger.Usage(ctx, s.minute, s.future(), 1)
		_, errs["Calls"] = s.ledger.Calls(ctx, s.minute, s.future(), 1)
		_, errs["Prune"] = s.ledger.Prune(ctx, gateway.RetainedUsage, s.future(), 1)
		for name, err := range errs {
			if !errors.Is(err, context.Canceled) {
				s.Errorf("%s: got error %v, want context.Canceled", name, err)
			}
		}
		// This opens the ledger, so that the second round meets it open.
		if usage, calls := s.usage(), s.calls(); len(usage) > 0 || len(calls) > 0 {
			s.Errorf("got usage %+v and calls %+v", usage, calls)
		}
	}
}

// interrupted ends a batch later and later, until it is in time.
func (s *ledgerSuite) interrupted() {
	usage, calls := s.bigBatch()
	batch := s.nextBatch()
	for kind, add := range map[string]struct {
		batch func(context.Context) error
		held  func() int
		want  int
	}{
		"usage": {func(ctx context.Context) error { return s.ledger.AddUsage(ctx, batch, usage) }, func() int { return len(s.usage()) }, len(usage)},
		"calls": {func(ctx context.Context) error { return s.ledger.AddCalls(ctx, calls) }, func() int { return len(s.calls()) }, len(calls)},
	} {
		err := errors.New("not tried")
		for patience := time.Millisecond; err != nil && patience < time.Minute; patience *= 2 {
			if held := add.held(); held > 0 {
				s.Fatalf("%s: %d rows are held after error %v", kind, held, err)
			}
			ctx, cancel := context.WithTimeout(s.Context(), patience)
			err = add.batch(ctx)
			cancel()
		}
		if held := add.held(); held != add.want {
			s.Errorf("%s: %d rows are held, want %d; the last error is %v", kind, held, add.want, err)
		}
	}
}
