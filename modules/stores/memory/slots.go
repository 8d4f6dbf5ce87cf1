package memory

import "time"

// slots is the tally of calls in progress. Time does not change it.
type slots struct {
	inUse int64
}

func (s *slots) expire(time.Duration)              {}
func (s *slots) used() int64                       { return s.inUse }
func (s *slots) add(_ time.Duration, units int64)  { s.inUse += units }
func (s *slots) freeAt(int64) time.Duration        { return 0 }
func (s *slots) takeBack(_ time.Duration, n int64) { s.inUse = max(s.inUse-n, 0) }
