// Package memory keeps limits and answers in this process: the stores of a gateway that runs alone, and the
// measure of what a shared store has to do.
package memory

import (
	"context"
	"hash/maphash"
	"math/bits"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// shardCount is 64 so that the shards of one call fit a word: a set bit is a shard to lock, and walking the
// bits upwards is the one order in which shards are ever locked.
const shardCount = 64

// Limiter keeps the windows of all limits in memory.
//
// A limit of requests with N up to 10,000 is exact: a call is refused only if it would be the one too many
// in the window that ends with it. A larger one, and any limit of tokens, is counted in sixtieths of its
// window, so that a subject costs less than a kilobyte: still never more than N in any window, and units
// come back up to Window/60 late.
//
// A cost larger than N is taken as N, so that a large estimate waits for an empty window and not for ever.
// Claims of one call that share a window are charged once, with the largest cost, and every N holds. A limit
// with N below 1 refuses everything, and its RetryAfter is the whole window.
//
// Settle and Cancel want the claims as Admit left them. They clear Mark, so that the same claims given back
// twice count once; a copy of them given back as well would take units from other calls, though never
// below zero.
//
// A subject that has nothing in use is dropped as others are served; the limiter starts no goroutine.
type Limiter struct {
	clock  func() time.Duration
	seed   maphash.Seed
	shards [shardCount]shard
}

var _ gateway.Limiter = (*Limiter)(nil)

// Option changes how a limiter is made.
type Option func(*Limiter)

// WithClock replaces the clock, which tells the time since any fixed moment. Where it goes backwards, the
// limiter waits for it to catch up.
func WithClock(clock func() time.Duration) Option {
	return func(l *Limiter) { l.clock = clock }
}

// NewLimiter makes a limiter whose windows are all empty.
func NewLimiter(options ...Option) *Limiter {
	start := time.Now()
	l := &Limiter{
		clock: func() time.Duration { return time.Since(start) },
		seed:  maphash.MakeSeed(),
	}
	for _, option := range options {
		option(l)
	}
	for i := range l.shards {
		l.shards[i].subjects = make(map[string]*subject)
	}
	return l
}

// place is where the window of a claim is, or would be.
type place struct {
	shard   *shard
	subject *subject
	window  *window // nil where nothing was counted yet
}

// Admit decides on all claims at once; see [gateway.Limiter]. The error tells of a claim that makes no sense.
func (l *Limiter) Admit(_ context.Context, claims []gateway.Claim) (int, error) {
	if err := check(claims); err != nil {
		return -1, err
	}
	var few [16]place // on the stack; a call has rarely more claims
	places := few[:0]

	clock := l.clock()
	held := l.lock(claims, clock)
	denied := -1
	for i := range claims {
		places = append(places, l.find(claims, i, places))
		if !judge(claims, i, places[i], clock) && (denied < 0 || claims[i].RetryAfter > claims[denied].RetryAfter) {
			denied = i
		}
	}
	if denied < 0 {
		for i := range claims {
			grant(claims, i, places[i], clock)
		}
	}
	l.unlock(held)
	return denied, nil
}

// find looks a claim's window up, sparing the search where the claim before has the same subject.
func (l *Limiter) find(claims []gateway.Claim, i int, before []place) place {
	var p place
	if i > 0 && claims[i].Subject == claims[i-1].Subject {
		p = before[i-1]
	} else {
		p.shard = l.shard(claims[i].Subject)
		p.subject = p.shard.subjects[claims[i].Subject]
	}
	p.window = p.subject.window(claims[i].Limit)
	return p
}

// judge reports whether a claim could be granted, and writes its standing into it.
func judge(claims []gateway.Claim, i int, p place, clock time.Duration) bool {
	claim := &claims[i]
	claim.Mark = 0
	claim.RetryAfter = 0
	if p.window != nil {
		p.window.tally.expire(p.shard.last)
	}
	p.window.report(claim, clock)

	n := claim.Limit.N
	if n < 1 {
		claim.RetryAfter = claim.Limit.Window // no wait is long enough: say something polite
		return false
	}
	if p.window == nil {
		return true
	}
	most := n - charge(claims, i)
	if p.window.tally.used() <= most {
		return true
	}
	claim.RetryAfter = until(p.window.tally.freeAt(most), clock)
	return false
}

// grant charges a claim's window, unless an earlier claim of the call has done so.
func grant(claims []gateway.Claim, i int, p place, clock time.Duration) {
	claim := &claims[i]
	if p.window == nil {
		p.window = p.shard.window(claim.Subject, claim.Limit)
	}
	if !repeated(claims, i) {
		p.window.suit(strictest(claims, i), p.shard.last)
		p.window.tally.add(p.shard.last, charge(claims, i))
		claim.Mark = mark(p.shard.last)
	}
	p.window.report(claim, clock)
}

// mark notes in a claim when it was granted; zero is left for a claim that holds nothing.
func mark(granted time.Duration) int64 { return int64(granted) + 1 }

// grantedAt reads what mark wrote.
func grantedAt(mark int64) time.Duration { return time.Duration(mark - 1) }

func (l *Limiter) shardIndex(subject string) uint64 {
	return maphash.String(l.seed, subject) % shardCount
}

func (l *Limiter) shard(subject string) *shard { return &l.shards[l.shardIndex(subject)] }

// lock takes the shards of all claims and tells them the time.
func (l *Limiter) lock(claims []gateway.Claim, clock time.Duration) (held uint64) {
	for i := range claims {
		if i == 0 || claims[i].Subject != claims[i-1].Subject {
			held |= 1 << l.shardIndex(claims[i].Subject)
		}
	}
	for rest := held; rest != 0; rest &= rest - 1 {
		s := &l.shards[bits.TrailingZeros64(rest)]
		s.mu.Lock()
		s.advance(clock)
		s.sweep()
	}
	return held
}

func (l *Limiter) unlock(held uint64) {
	for rest := held; rest != 0; rest &= rest - 1 {
		l.shards[bits.TrailingZeros64(rest)].mu.Unlock()
	}
}
