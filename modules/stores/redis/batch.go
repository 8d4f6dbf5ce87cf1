package redis

import (
	"context"
	"runtime"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Bounds on what is sent together.
const (
	// patience is how long a call waits for pipelines that are under way, so that a distant Redis is not asked in turns.
	patience = time.Millisecond
	// maxBatch is how many calls share a pipeline at most.
	maxBatch = 64
)

// batcher has calls that come while others are under way go together, in one pipeline: a busy gateway spends more on reads and writes,
// each a system call, than on what they say. A call that comes alone goes at once.
type batcher struct {
	most     int // pipelines under way, beyond which calls are gathered
	patience time.Duration

	mu       sync.Mutex
	underWay int
	next     *batch // those who wait; nil where nobody does
}

// batch is the commands of calls that go together. The first of them to come sends it.
type batch struct {
	commands []goredis.Cmder
	calls    int
	leave    chan struct{} // closed when a pipeline has come back
	done     chan struct{} // closed when all commands have their answers
}

func newBatcher() *batcher { return &batcher{most: runtime.GOMAXPROCS(0), patience: patience} }

// send sends commands, and returns once each has its answer or its error. ctx bounds that, or the context of the call that it goes
// along with. A nil batcher sends them by themselves.
func (b *batcher) send(ctx context.Context, rdb goredis.UniversalClient, commands ...goredis.Cmder) {
	if b == nil {
		pipeline(ctx, rdb, commands)
		return
	}
	b.mu.Lock()
	if b.underWay < b.most || b.next != nil && b.next.calls == maxBatch {
		b.underWay++
		b.mu.Unlock()
		defer b.back()
		pipeline(ctx, rdb, commands)
		return
	}
	own := b.next
	leads := own == nil
	if leads {
		own = &batch{leave: make(chan struct{}), done: make(chan struct{})}
		b.next = own
	}
	own.commands = append(own.commands, commands...)
	own.calls++
	b.mu.Unlock()
	if !leads {
		<-own.done
		return
	}
	b.gather(own)
	defer close(own.done)
	defer b.back()
	pipeline(ctx, rdb, own.commands)
}

// gather waits until the batch is to go, and takes it off, so that nobody joins it any more.
func (b *batcher) gather(own *batch) {
	late := time.NewTimer(b.patience)
	defer late.Stop()
	select {
	case <-own.leave: // whoever closed it has taken it off and made room for it
	case <-late.C:
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.next == own {
			b.next = nil
			b.underWay++
		}
	}
}

// back notes that a pipeline has come back. Those who wait take its place.
func (b *batcher) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil || b.underWay > b.most {
		b.underWay--
		return
	}
	close(b.next.leave)
	b.next = nil
}

// pipeline sends commands in one round trip. Each has its own error.
func pipeline(ctx context.Context, rdb goredis.UniversalClient, commands []goredis.Cmder) {
	if len(commands) == 1 {
		_ = rdb.Process(ctx, commands[0])
		return
	}
	pipe := rdb.Pipeline()
	for _, command := range commands {
		_ = pipe.Process(ctx, command)
	}
	_, _ = pipe.Exec(ctx)
}
