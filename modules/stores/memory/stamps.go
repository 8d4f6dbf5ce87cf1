package memory

import "time"

const (
	// maxStamps is the largest N whose admissions are kept one by one: 80 kB when all are in the window.
	maxStamps = 10_000
	// fewStamps is how much room a tally starts with, and keeps when it is empty.
	fewStamps = 8
)

// stamps is the exact tally: the time of every unit in the window, oldest first, in a ring.
type stamps struct {
	length  time.Duration
	ring    []time.Duration
	head    int
	count   int
	expired time.Duration // all units up to this time have left
}

// index finds the i-th oldest stamp in the ring.
func (s *stamps) index(i int) int {
	i += s.head
	if i >= len(s.ring) {
		i -= len(s.ring)
	}
	return i
}

func (s *stamps) used() int64 { return int64(s.count) }

// expire drops what is not in (now-length, now].
func (s *stamps) expire(now time.Duration) {
	s.expired = now - s.length
	for s.count > 0 && s.ring[s.head] <= s.expired {
		s.head = s.index(1)
		s.count--
	}
	if s.count == 0 && len(s.ring) > fewStamps {
		s.ring, s.head = nil, 0
	}
}

func (s *stamps) add(now time.Duration, units int64) {
	s.reserve(s.count + int(units))
	for range units {
		s.ring[s.index(s.count)] = now
		s.count++
	}
}

// reserve makes room, doubling it so that a busy subject seldom moves.
func (s *stamps) reserve(room int) {
	if room <= len(s.ring) {
		return
	}
	ring := make([]time.Duration, max(room, fewStamps, min(2*len(s.ring), maxStamps)))
	for i := range s.count {
		ring[i] = s.ring[s.index(i)]
	}
	s.ring, s.head = ring, 0
}

// takeBack removes the first stamps that are not before the given time. These are the ones that were added then;
// or, if the tally was made from buckets since, the ones that stand for them.
func (s *stamps) takeBack(at time.Duration, units int64) {
	if at <= s.expired {
		return
	}
	low, high := 0, s.count
	for low < high {
		if middle := (low + high) / 2; s.ring[s.index(middle)] < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	gone := min(int(units), s.count-low)
	for i := low + gone; i < s.count; i++ {
		s.ring[s.index(i-gone)] = s.ring[s.index(i)]
	}
	s.count -= gone
}

func (s *stamps) freeAt(most int64) time.Duration {
	return s.ring[s.index(s.count-int(most)-1)] + s.length
}

// buckets counts the same units in buckets, where they stay a little longer.
func (s *stamps) buckets() *buckets {
	b := newBuckets(s.length)
	for i := range s.count {
		b.add(s.ring[s.index(i)], 1)
	}
	return b
}
