package memory

import (
	"sync/atomic"
	"time"
)

// fakeClock stands still unless it is told otherwise.
type fakeClock struct{ elapsed atomic.Int64 }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *fakeClock) Elapsed() time.Duration  { return time.Duration(c.elapsed.Load()) }
func (c *fakeClock) Now() time.Time          { return epoch.Add(c.Elapsed()) }
func (c *fakeClock) Advance(d time.Duration) { c.elapsed.Add(int64(d)) }
