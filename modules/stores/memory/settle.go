package memory

import (
	"context"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Settle ends an admitted call; see [gateway.Limiter]. Tokens that were reserved and not used go back to the
// moment of the reservation; tokens used beyond it count from now, even if that is more than N.
func (l *Limiter) Settle(_ context.Context, claims []gateway.Claim) {
	for i := range claims {
		claim := &claims[i]
		if claim.Mark == 0 {
			continue
		}
		switch reserved := charge(claims, i); claim.Limit.Kind {
		case gateway.LimitConcurrency:
			l.takeBack(claim, reserved)
		case gateway.LimitTokens:
			if actual := max(claim.Actual, 0); actual < reserved {
				l.takeBack(claim, reserved-actual)
			} else if actual > reserved {
				l.add(claim, actual-reserved)
			}
		}
	}
	release(claims)
}

// Cancel takes an admission back; see [gateway.Limiter].
func (l *Limiter) Cancel(_ context.Context, claims []gateway.Claim) {
	for i := range claims {
		if claims[i].Mark != 0 {
			l.takeBack(&claims[i], charge(claims, i))
		}
	}
	release(claims)
}

// release leaves the claims holding nothing.
func release(claims []gateway.Claim) {
	for i := range claims {
		claims[i].Mark = 0
	}
}

// takeBack undoes part of what was charged at the claim's mark, as far as it still counts.
func (l *Limiter) takeBack(claim *gateway.Claim, units int64) {
	s := l.shard(claim.Subject)
	clock := l.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(clock)
	w := s.subjects[claim.Subject].window(claim.Limit)
	if w == nil || grantedAt(claim.Mark) < w.since {
		return // it went to a window that has been dropped since
	}
	w.tally.expire(s.last)
	w.tally.takeBack(grantedAt(claim.Mark), units)
}

// add charges the claim's window now.
func (l *Limiter) add(claim *gateway.Claim, units int64) {
	s := l.shard(claim.Subject)
	clock := l.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(clock)
	w := s.window(claim.Subject, claim.Limit)
	w.tally.expire(s.last)
	w.tally.add(s.last, units)
}

// Forget empties the windows of all subjects that begin with the prefix; an empty prefix means everyone. Calls in progress
// are not history: they keep their slots until they end.
func (l *Limiter) Forget(subjectPrefix string) {
	for i := range l.shards {
		s := &l.shards[i]
		clock := l.clock()
		s.mu.Lock()
		s.advance(clock)
		// One nanosecond tells what was admitted before from what comes after, for calls that settle later.
		s.last++
		for j := len(s.order) - 1; j >= 0; j-- {
			if strings.HasPrefix(s.order[j].name, subjectPrefix) {
				s.prune(s.order[j], func(w *window) bool { return w.kind != gateway.LimitConcurrency })
			}
		}
		s.mu.Unlock()
	}
}

// Subjects counts the subjects that are in memory.
func (l *Limiter) Subjects() int {
	total := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		total += len(s.order)
		s.mu.Unlock()
	}
	return total
}
