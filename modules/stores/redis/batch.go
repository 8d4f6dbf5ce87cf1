package redis

import (
	"context"
	"errors"
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
	leave    chan struct{} // closed when it is to go
	sent     bool
	done     chan struct{} // closed when all commands have their answers
}

func newBatcher() *batcher { return &batcher{most: runtime.GOMAXPROCS(0), patience: patience} }

// send sends commands, and returns once each has its answer or its error. It says whether they went in a pipeline of this call's own,
// which may have had others with it: of what befalls a pipeline, one call is to tell. ctx bounds its own pipeline, so it must end by the
// client's timeout and not with its caller, since others may go along. A nil batcher sends commands by themselves.
func (b *batcher) send(ctx context.Context, rdb goredis.UniversalClient, commands ...goredis.Cmder) (own bool) {
	if b == nil {
		pipeline(ctx, rdb, commands)
		return true
	}
	b.mu.Lock()
	if b.underWay < b.most {
		b.underWay++
		b.mu.Unlock()
		defer b.back()
		pipeline(ctx, rdb, commands)
		return true
	}
	if b.next != nil && b.next.calls == maxBatch {
		b.underWay++
		close(b.next.leave)
		b.next = nil
	}
	joined := b.next
	if joined == nil {
		joined = &batch{leave: make(chan struct{}), done: make(chan struct{})}
		b.next, own = joined, true
	}
	joined.commands = append(joined.commands, commands...)
	joined.calls++
	b.mu.Unlock()
	if !own {
		<-joined.done
		return false
	}
	b.gather(joined)
	defer b.back()
	defer joined.end()
	pipeline(ctx, rdb, joined.commands)
	joined.sent = true
	return true
}

// end tells those who went along, also where the pipeline panicked.
func (b *batch) end() {
	if !b.sent {
		for _, command := range b.commands {
			command.SetErr(errUnsent)
		}
	}
	close(b.done)
}

var errUnsent = errors.New("asking redis: the call that this one went along with has failed")

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
