package redis

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// openAfter is how many failures in a row open the breaker.
	openAfter = 5
	// openFrom is how many operations within breakerWindow it takes to open the breaker when half of them have failed.
	openFrom      = 20
	breakerWindow = time.Second
	// closeAfter is how many trials in a row have to succeed: a Redis that has just come back may still be short of breath.
	closeAfter = 5
)

// outcome is what an operation says about Redis.
type outcome int

const (
	unknown outcome = iota
	succeeded
	failed
	hung // failed, and waited for all the time that it had
)

// stage is where a breaker stands.
type stage int32

const (
	stageClosed stage = iota // operations pass
	stageOpen                // none does
	stageTrial               // Redis gave a sign of life: one operation at a time passes, and some that succeed in a row close the breaker
)

// breaker decides whether Redis is worth asking. It is told the time and starts nothing.
//
// It opens after some failures in a row, after many in little time, and at once where an operation has hung and none has succeeded in
// the second half of that time: so a call that needs Redis more than once waits for one that hangs no longer than one operation may take.
type breaker struct {
	patience time.Duration // how long an operation may take
	stage    atomic.Int32
	trying   atomic.Bool

	mu     sync.Mutex
	inARow int
	since  time.Time // when the present window began
	total  int
	bad    int
	good   int       // trials in a row that succeeded
	well   time.Time // when an operation succeeded last; zero where none has yet
}

func newBreaker(patience time.Duration) *breaker { return &breaker{patience: patience} }

func (b *breaker) at() stage { return stage(b.stage.Load()) }

func (b *breaker) closed() bool { return b.at() == stageClosed }

// allow reports whether an operation may go ahead, and whether it is the trial. What is allowed must be reported.
func (b *breaker) allow() (trial, allowed bool) {
	switch b.at() {
	case stageClosed:
		return false, true
	case stageTrial:
		allowed = b.trying.CompareAndSwap(false, true)
		return allowed, allowed
	}
	return false, false
}

// revive tells that Redis gave a sign of life, and reports whether trials begin with that.
func (b *breaker) revive() bool { return b.stage.CompareAndSwap(int32(stageOpen), int32(stageTrial)) }

// report takes note of how an operation ended, and reports whether that opened or closed the breaker.
func (b *breaker) report(now time.Time, trial bool, o outcome) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o == succeeded {
		b.well = now
	}
	if trial {
		return b.judge(o)
	}
	if o == unknown || !b.closed() {
		return false // a straggler from before the breaker opened
	}
	if now.Sub(b.since) >= breakerWindow {
		b.since, b.total, b.bad = now, 0, 0
	}
	b.total++
	if o == succeeded {
		b.inARow = 0
		return false
	}
	b.bad++
	b.inARow++
	silent := o == hung && !b.well.IsZero() && now.Sub(b.well) >= b.patience/2
	if !silent && b.inARow < openAfter && (b.total < openFrom || 2*b.bad < b.total) {
		return false
	}
	b.stage.Store(int32(stageOpen))
	return true
}

// judge ends a trial.
func (b *breaker) judge(o outcome) (changed bool) {
	defer b.trying.Store(false)
	switch o {
	case failed, hung:
		b.good = 0
		b.stage.Store(int32(stageOpen))
	case succeeded:
		if b.good++; b.good < closeAfter {
			return false
		}
		b.good, b.inARow, b.total, b.bad = 0, 0, 0, 0
		b.stage.Store(int32(stageClosed))
		return true
	}
	return false
}
