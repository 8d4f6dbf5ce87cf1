package storetest

import (
	"sync"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func (s *ledgerSuite) again() {
	first, second := s.nextBatch(), s.nextBatch()
	s.addBatch(first, s.tally(0))
	s.addBatch(first, s.tally(0))
	s.addBatch(second, s.tally(1))
	s.addBatch(second, s.tally(1), s.tally(2))
	s.addBatch(first, s.tally(3))
	s.holdsUsage(s.tally(0), s.tally(1))
	s.addBatch(gateway.Batch{Writer: "another", Number: first.Number}, s.tally(4))
	s.addBatch(gateway.Batch{Writer: first.Writer, Number: second.Number + 100}, s.tally(5))
	s.holdsUsage(s.tally(0), s.tally(1), s.tally(4), s.tally(5))
}

// againAtOnce has a batch on its way several times, as where a connection broke and its transaction goes on.
func (s *ledgerSuite) againAtOnce() {
	want := s.tally(0)
	want.Calls, want.Usage = 20, dialect.Usage{Input: 2000, Output: 200}
	for range want.Calls {
		batch := s.nextBatch()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := s.ledger.AddUsage(s.Context(), batch, []gateway.UsageRow{s.tally(0)}); err != nil {
					s.Errorf("adding usage: %v", err)
				}
			})
		}
		group.Wait()
	}
	s.holdsUsage(want)
}

func (s *ledgerSuite) pruningWriters() {
	batch, other := s.nextBatch(), gateway.Batch{Writer: "another", Number: 1}
	s.addBatch(batch, s.tally(0))
	s.addBatch(other, s.tally(1))
	for _, step := range []struct {
		before time.Time
		limit  int
		want   int
	}{
		{time.Now().Add(-time.Hour), 10, 0},
		{time.Now().Add(time.Hour), 1, 1},
		{time.Now().Add(time.Hour), 10, 1},
		{time.Now().Add(time.Hour), 10, 0},
	} {
		if n, err := s.ledger.Prune(s.Context(), gateway.RetainedWriters, step.before, step.limit); err != nil || n != step.want {
			s.Errorf("pruning %d of the writers silent since %s: got %d and error %v, want %d", step.limit, step.before, n, err, step.want)
		}
	}
	s.holdsUsage(s.tally(0), s.tally(1)) // what they added stays
	s.addBatch(batch, s.tally(2))
	s.holdsUsage(s.tally(0), s.tally(1), s.tally(2))
}
