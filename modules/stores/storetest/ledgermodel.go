package storetest

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// ledgerTable models what a ledger holds of one kind.
type ledgerTable[Row any] struct {
	rows map[string]Row // by what makes a row the same one
	name func(Row) string
	at   func(Row) time.Time
}

func newUsageTable() ledgerTable[gateway.UsageRow] {
	return ledgerTable[gateway.UsageRow]{
		rows: make(map[string]gateway.UsageRow),
		name: func(r gateway.UsageRow) string {
			return fmt.Sprintf("%d %q %q %q %q %q", r.Minute.Unix(), r.KeyID, r.Team, r.Surface, r.Provider, r.Model)
		},
		at: usageMinute,
	}
}

func newCallTable() ledgerTable[gateway.CallRow] {
	return ledgerTable[gateway.CallRow]{
		rows: make(map[string]gateway.CallRow),
		name: func(r gateway.CallRow) string { return r.ID },
		at:   callTime,
	}
}

// between lists the times of rows in [from, to), oldest first, at most limit of them.
func (m ledgerTable[Row]) between(from, to time.Time, limit int) []time.Time {
	var times []time.Time
	for _, row := range m.rows {
		if at := m.at(row); !at.Before(from) && at.Before(to) {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[:min(len(times), limit)]
}

// check compares a list with the model. Rows of one time may come in any order, and a limit may cut between them.
func (m ledgerTable[Row]) check(t interface {
	Helper()
	Fatalf(string, ...any)
}, got []Row, from, to time.Time, limit int) {
	t.Helper()
	var times []time.Time
	names := make(map[string]bool)
	for _, row := range got {
		name := m.name(row)
		if want, ok := m.rows[name]; !ok || names[name] || !reflect.DeepEqual(row, want) {
			t.Fatalf("got row\n%+v (before: %v), want\n%+v (%v)", row, names[name], want, ok)
		}
		names[name] = true
		times = append(times, m.at(row))
	}
	if want := m.between(from, to, limit); !slices.Equal(times, want) {
		t.Fatalf("got rows of %v, want of %v", times, want)
	}
}

// pruned takes over which rows are left, after making sure that as many are gone as should be.
func (m ledgerTable[Row]) pruned(t *rapid.T, n int, left []Row, before time.Time, limit int) {
	end := before.AddDate(500, 0, 0)
	gone, all := m.between(time.Time{}, before, limit), m.between(time.Time{}, end, everything)
	if n != len(gone) {
		t.Fatalf("pruned %d rows, want %d", n, len(gone))
	}
	kept := make(map[string]bool)
	for _, row := range left {
		kept[m.name(row)] = true
	}
	maps.DeleteFunc(m.rows, func(name string, _ Row) bool { return !kept[name] })
	m.check(t, left, time.Time{}, end, everything)
	if got := m.between(time.Time{}, end, everything); !slices.Equal(got, all[len(gone):]) {
		t.Fatalf("rows of %v are left, want of %v", got, all[len(gone):])
	}
}

var ledgerCounts = rapid.Custom(func(t *rapid.T) dialect.Usage {
	tokens := rapid.Int64Range(0, 1<<40)
	return dialect.Usage{
		Input: tokens.Draw(t, "input"), CacheRead: tokens.Draw(t, "cache read"), CacheWrite: tokens.Draw(t, "cache write"),
		Output: tokens.Draw(t, "output"), Reasoning: tokens.Draw(t, "reasoning"), Estimated: rapid.Bool().Draw(t, "estimated"),
	}
})

// drawUsage draws rows of which many fall to one sum.
func (s *ledgerSuite) drawUsage(t *rapid.T) []gateway.UsageRow {
	few := rapid.SampledFrom([]string{"", "a", "b"})
	count := rapid.Int64Range(0, 1000)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gateway.UsageRow {
		return gateway.UsageRow{
			Minute: s.drawMinute(t), KeyID: few.Draw(t, "key"), Team: few.Draw(t, "team"),
			Surface: "openai", Provider: few.Draw(t, "provider"), Model: "smart",
			Calls: count.Draw(t, "calls"), Failures: count.Draw(t, "failures"), CacheHits: count.Draw(t, "hits"),
			Usage: ledgerCounts.Draw(t, "usage"),
		}
	}), 0, 12).Draw(t, "usage")
}

// drawCalls draws calls of which some have one id.
func (s *ledgerSuite) drawCalls(t *rapid.T) []gateway.CallRow {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gateway.CallRow {
		row := s.call(fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), 0)
		row.At = s.drawMinute(t).Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "ms")) * time.Millisecond)
		row.Status = rapid.IntRange(200, 599).Draw(t, "status")
		return row
	}), 0, 12).Draw(t, "calls")
}

func (s *ledgerSuite) drawMinute(t *rapid.T) time.Time {
	return s.minute.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "minute")) * time.Minute)
}

func (m ledgerTable[Row]) addAll(rows []Row, merge func(old, new Row) Row) {
	for _, row := range rows {
		name := m.name(row)
		if old, ok := m.rows[name]; ok {
			row = merge(old, row)
		}
		m.rows[name] = row
	}
}

func addSums(sum, row gateway.UsageRow) gateway.UsageRow {
	sum.Calls += row.Calls
	sum.Failures += row.Failures
	sum.CacheHits += row.CacheHits
	sum.Usage = sum.Usage.Add(row.Usage)
	return sum
}

func keepFirst(first, _ gateway.CallRow) gateway.CallRow { return first }

func (s *ledgerSuite) agreesWithModel() {
	rapid.Check(s.T, func(t *rapid.T) {
		s.clear()
		sums, log := newUsageTable(), newCallTable()
		bounds := func(t *rapid.T) (from, to time.Time, limit int) {
			return s.drawMinute(t), s.drawMinute(t).Add(time.Minute), rapid.IntRange(0, 20).Draw(t, "limit")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add usage": func(t *rapid.T) {
				rows := s.drawUsage(t)
				s.addUsage(rows...)
				sums.addAll(rows, addSums)
				if rapid.Bool().Draw(t, "again") && len(rows) > 0 {
					s.addBatch(s.batch, rows...)
				}
			},
			"add calls": func(t *rapid.T) {
				rows := s.drawCalls(t)
				s.addCalls(rows...)
				log.addAll(rows, keepFirst)
			},
			"list": func(t *rapid.T) {
				from, to, limit := bounds(t)
				usage, err := s.ledger.Usage(s.Context(), from, to, limit)
				if err != nil {
					t.Fatal(err)
				}
				sums.check(t, usage, from, to, limit)
				calls, err := s.ledger.Calls(s.Context(), from, to, limit)
				if err != nil {
					t.Fatal(err)
				}
				log.check(t, calls, from, to, limit)
			},
			"prune": func(t *rapid.T) {
				_, before, limit := bounds(t)
				n, err := s.ledger.Prune(s.Context(), gateway.RetainedUsage, before, limit)
				if err != nil {
					t.Fatal(err)
				}
				sums.pruned(t, n, s.usage(), before, limit)
				if n, err = s.ledger.Prune(s.Context(), gateway.RetainedCalls, before, limit); err != nil {
					t.Fatal(err)
				}
				log.pruned(t, n, s.calls(), before, limit)
			},
		})
	})
}

func (s *ledgerSuite) clear() {
	s.Helper()
	for _, what := range []gateway.Retained{gateway.RetainedUsage, gateway.RetainedCalls} {
		if _, err := s.ledger.Prune(s.Context(), what, s.future(), everything); err != nil {
			s.Fatalf("pruning %s: %v", what, err)
		}
	}
}

// roundTrip adds one row after another to an empty ledger.
func (s *ledgerSuite) roundTrip() {
	number := rapid.OneOf(rapid.Just(int64(0)), rapid.Just(int64(math.MaxInt64)), rapid.Int64Min(0))
	usage := rapid.Custom(func(t *rapid.T) dialect.Usage {
		return dialect.Usage{
			Input: number.Draw(t, "input"), CacheRead: number.Draw(t, "cache read"), CacheWrite: number.Draw(t, "cache write"),
			Output: number.Draw(t, "output"), Reasoning: number.Draw(t, "reasoning"), Estimated: rapid.Bool().Draw(t, "estimated"),
		}
	})
	const span = 4_000_000_000 // seconds, into the year 2096
	rapid.Check(s.T, func(t *rapid.T) {
		s.clear()
		sum := gateway.UsageRow{
			Minute: time.Unix(rapid.Int64Range(0, span/60).Draw(t, "minute")*60, 0).UTC(),
			KeyID:  keyTexts.Draw(t, "key"), Team: keyTexts.Draw(t, "team"), Surface: keyTexts.Draw(t, "surface"),
			Provider: keyTexts.Draw(t, "provider"), Model: keyTexts.Draw(t, "model"), Calls: number.Draw(t, "calls"),
			Failures: number.Draw(t, "failures"), CacheHits: number.Draw(t, "hits"), Usage: usage.Draw(t, "usage"),
		}
		s.addUsage(sum)
		s.holdsUsage(sum)

		call := gateway.CallRow{
			ID: keyTexts.Draw(t, "id"), At: time.UnixMilli(rapid.Int64Range(0, span*1000).Draw(t, "at")).UTC(), KeyID: sum.KeyID,
			Team: sum.Team, Surface: sum.Surface, Provider: sum.Provider, Model: sum.Model, Upstream: keyTexts.Draw(t, "upstream"),
			Status: rapid.IntRange(0, 999).Draw(t, "status"), Error: keyTexts.Draw(t, "error"),
			Cache: gateway.CacheResult(keyTexts.Draw(t, "cache")), Attempts: rapid.IntRange(0, 1000).Draw(t, "attempts"),
			Usage: sum.Usage, Took: time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "took")) * time.Microsecond,
		}
		if prompt := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "prompt"); len(prompt) > 0 {
			call.Prompt = prompt
		}
		s.addCalls(call)
		s.holdsCalls(call)
	})
}

// concurrent has writers share sums, which they add to in different orders, and ids.
func (s *ledgerSuite) concurrent() {
	const writers, batches, size = 8, 15, 40
	sums, log := newUsageTable(), newCallTable()
	var group sync.WaitGroup
	for writer := range writers {
		usage, calls := make([]gateway.UsageRow, size), make([]gateway.CallRow, size)
		for i := range size {
			usage[i] = s.tally((i + writer*5) % 20)
			usage[i].KeyID = fmt.Sprint("key_", i%3)
			calls[i] = s.call(fmt.Sprint(i+writer%2*size/2), i)
		}
		if writer%2 == 1 {
			slices.Reverse(usage)
			slices.Reverse(calls)
		}
		for range batches {
			sums.addAll(usage, addSums)
		}
		log.addAll(calls, keepFirst)
		group.Go(func() {
			for number := range batches {
				batch := gateway.Batch{Writer: fmt.Sprint("writer ", writer), Number: int64(number)}
				if err := s.ledger.AddUsage(s.Context(), batch, usage); err != nil {
					s.Errorf("adding usage: %v", err)
				}
				if err := s.ledger.AddCalls(s.Context(), calls); err != nil {
					s.Errorf("adding calls: %v", err)
				}
			}
		})
	}
	group.Wait()
	sums.check(s, s.usage(), time.Time{}, s.future(), everything)
	if calls := s.calls(); len(calls) != len(log.rows) {
		s.Errorf("got %d calls, want %d", len(calls), len(log.rows))
	}
}
