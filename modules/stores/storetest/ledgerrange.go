package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// fill adds a row of either kind to each of some minutes, the latest first.
func (s *ledgerSuite) fill(minutes int) {
	s.Helper()
	for i := minutes - 1; i >= 0; i-- {
		s.addUsage(s.tally(i))
		s.addCalls(s.call(fmt.Sprint(i), i))
	}
}

func usageMinute(row gateway.UsageRow) time.Time { return row.Minute }

func callTime(row gateway.CallRow) time.Time { return row.At }

// minutesOf tells how many minutes after the suite's rows are.
func minutesOf[Row any](s *ledgerSuite, rows []Row, at func(Row) time.Time) []int {
	minutes := make([]int, len(rows))
	for i, row := range rows {
		minutes[i] = int(at(row).Sub(s.minute) / time.Minute)
	}
	return minutes
}

func (s *ledgerSuite) ranges() {
	s.fill(5)
	at := func(minutes int) time.Time { return s.minute.Add(time.Duration(minutes) * time.Minute) }
	for name, test := range map[string]struct {
		from, to time.Time
		limit    int
		want     []int
	}{
		"all":                      {time.Time{}, s.future(), everything, []int{0, 1, 2, 3, 4}},
		"from is within":           {at(3), s.future(), everything, []int{3, 4}},
		"to is without":            {at(0), at(2), everything, []int{0, 1}},
		"one":                      {at(2), at(3), everything, []int{2}},
		"from just after":          {at(3).Add(1), s.future(), everything, []int{4}},
		"to just after":            {at(0), at(2).Add(1), everything, []int{0, 1, 2}},
		"another zone":             {at(1).In(time.FixedZone("", -7*3600)), at(3).In(time.FixedZone("", 9*3600)), everything, []int{1, 2}},
		"nothing lies between":     {at(2), at(2), everything, nil},
		"the wrong way round":      {at(4), at(0), everything, nil},
		"before all":               {time.Time{}, at(0), everything, nil},
		"after all":                {at(5), s.future(), everything, nil},
		"a limit takes the oldest": {at(1), s.future(), 2, []int{1, 2}},
		"a limit that is met":      {at(1), s.future(), 4, []int{1, 2, 3, 4}},
		"a limit of 0":             {time.Time{}, s.future(), 0, nil},
		"a limit below 0":          {time.Time{}, s.future(), -1, nil},
	} {
		usage, err := s.ledger.Usage(s.Context(), test.from, test.to, test.limit)
		if got := minutesOf(s, usage, usageMinute); err != nil || !slices.Equal(got, test.want) {
			s.Errorf("usage, %s: got minutes %v and error %v, want %v", name, got, err, test.want)
		}
		calls, err := s.ledger.Calls(s.Context(), test.from, test.to, test.limit)
		if got := minutesOf(s, calls, callTime); err != nil || !slices.Equal(got, test.want) {
			s.Errorf("calls, %s: got minutes %v and error %v, want %v", name, got, err, test.want)
		}
	}
}

func (s *ledgerSuite) pruning() {
	s.fill(8)
	for _, step := range []struct {
		before time.Duration // from the suite's minute
		limit  int
		want   int
		first  int // the oldest minute that is left
	}{
		{0, 10, 0, 0}, // as old is not older
		{time.Hour, 0, 0, 0},
		{time.Hour, -1, 0, 0},
		{5 * time.Minute, 2, 2, 2},
		{5 * time.Minute, 2, 2, 4},
		{5 * time.Minute, 2, 1, 5},
		{5 * time.Minute, 2, 0, 5},
		{5*time.Minute + 1, 2, 1, 6},
		{time.Hour, 10, 2, 8},
	} {
		for _, what := range []gateway.Retained{gateway.RetainedUsage, gateway.RetainedCalls} {
			n, err := s.ledger.Prune(s.Context(), what, s.minute.Add(step.before), step.limit)
			if err != nil || n != step.want {
				s.Errorf("pruning %d of %s: got %d and error %v, want %d", step.limit, what, n, err, step.want)
			}
		}
		var want []int
		for i := step.first; i < 8; i++ {
			want = append(want, i)
		}
		if got := minutesOf(s, s.usage(), usageMinute); !slices.Equal(got, want) {
			s.Errorf("usage that is left: got minutes %v, want %v", got, want)
		}
		if got := minutesOf(s, s.calls(), callTime); !slices.Equal(got, want) {
			s.Errorf("calls that are left: got minutes %v, want %v", got, want)
		}
	}
}

func (s *ledgerSuite) pruningKinds() {
	s.fill(3)
	if _, err := s.ledger.Prune(s.Context(), gateway.RetainedUsage, s.future(), 2); err != nil {
		s.Fatal(err)
	}
	if usage, calls := len(s.usage()), len(s.calls()); usage != 1 || calls != 3 {
		s.Errorf("pruning usage leaves %d sums and %d calls, want 1 and 3", usage, calls)
	}
	if _, err := s.ledger.Prune(s.Context(), gateway.RetainedCalls, s.future(), 2); err != nil {
		s.Fatal(err)
	}
	if usage, calls := len(s.usage()), len(s.calls()); usage != 1 || calls != 1 {
		s.Errorf("pruning calls leaves %d sums and %d calls, want 1 and 1", usage, calls)
	}
	if n, err := s.ledger.Prune(s.Context(), "answers", s.future(), 2); err == nil || n != 0 {
		s.Errorf("pruning what a ledger does not keep: got %d and error %v, want an error", n, err)
	}
	// A pruned call is gone, not only hidden: its id is free again.
	s.addCalls(s.call("0", 0))
	if calls := len(s.calls()); calls != 2 {
		s.Errorf("got %d calls, want 2", calls)
	}
	s.addUsage(s.tally(0))
	if got := s.usage()[0]; got != s.tally(0) {
		s.Errorf("got sum %+v, want one that starts again", got)
	}
}
