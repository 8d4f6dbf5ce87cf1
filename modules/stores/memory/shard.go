package memory

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// sweepEvery is how many decisions of a shard pay for looking at one of its subjects.
	sweepEvery = 16
	// sweepOnCreate is how many looks a new subject pays for. Two or more outrun any growth: by the
	// time that a shard has doubled, everyone who was there before has been looked at.
	sweepOnCreate = 2
	// shrinkFrom is the size from which a shard gives the room of lost subjects back.
	shrinkFrom = 1024
)

// shard is one part of all subjects, under one lock.
type shard struct {
	mu       sync.Mutex
	last     time.Duration // the latest time seen: windows never go back
	subjects map[string]*subject
	order    []*subject // the same subjects, in the order that the sweep takes
	hand     int        // where the sweep goes on
	owed     int        // looks that the sweep still has to take
	turns    int        // decisions since the last look they paid for
	peak     int        // most subjects since the map was made
	_        [48]byte   // a cache line pair of its own: neighbours are locked by others
}

// subject is whoever is limited.
type subject struct {
	name    string
	index   int // in the shard's order
	windows []*window
}

// window finds the window of a limit, or nil. A nil subject has none.
func (s *subject) window(limit gateway.Limit) *window {
	if s == nil {
		return nil
	}
	for _, w := range s.windows {
		if w.length == limit.Window && w.kind == limit.Kind {
			return w
		}
	}
	return nil
}

func (s *shard) advance(clock time.Duration) { s.last = max(s.last, clock) }

// window finds or makes the window of a limit.
func (s *shard) window(name string, limit gateway.Limit) *window {
	sub := s.subjects[name]
	if sub == nil {
		// The name may be a piece of something larger, which must not be kept alive by it.
		sub = &subject{name: strings.Clone(name), index: len(s.order)}
		s.subjects[sub.name] = sub
		s.order = append(s.order, sub)
		s.peak = max(s.peak, len(s.order))
		s.owed += sweepOnCreate
	}
	w := sub.window(limit)
	if w == nil {
		w = newWindow(limit, s.last)
		sub.windows = append(sub.windows, w)
	}
	return w
}

// sweep looks at the next few subjects and drops what is empty.
func (s *shard) sweep() {
	s.turns++
	if s.turns == sweepEvery {
		s.turns = 0
		s.owed++
	}
	for ; s.owed > 0; s.owed-- {
		if s.hand >= len(s.order) {
			s.hand = 0
		}
		if len(s.order) == 0 || s.prune(s.order[s.hand], s.idle) {
			continue
		}
		s.hand++
	}
}

func (s *shard) idle(w *window) bool {
	w.tally.expire(s.last)
	return w.tally.used() == 0
}

// prune drops windows of a subject, and the subject with its last window; it reports whether it did that.
func (s *shard) prune(sub *subject, drop func(*window) bool) bool {
	sub.windows = slices.DeleteFunc(sub.windows, drop)
	if len(sub.windows) > 0 {
		return false
	}
	end := len(s.order) - 1
	s.order[sub.index] = s.order[end]
	s.order[sub.index].index = sub.index
	s.order[end] = nil
	s.order = s.order[:end]
	delete(s.subjects, sub.name)
	if s.peak >= shrinkFrom && len(s.order) < s.peak/4 {
		s.shrink()
	}
	return true
}

// shrink moves the subjects into a smaller map, because a map keeps the room of what was deleted.
func (s *shard) shrink() {
	s.order = slices.Clip(slices.Clone(s.order))
	s.peak = len(s.order)
	s.subjects = make(map[string]*subject, s.peak)
	for _, sub := range s.order {
		s.subjects[sub.name] = sub
	}
}
