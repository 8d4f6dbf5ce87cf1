package redis

import (
	"context"
	"sync"
)

// tasks are the goroutines of a store. They end with it.
type tasks struct {
	mu      sync.Mutex // orders beginning before waiting
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

func newTasks() *tasks {
	ctx, stop := context.WithCancel(context.Background())
	return &tasks{ctx: ctx, stop: stop}
}

// begin starts a task. It is false where the store was closed.
func (t *tasks) begin(task func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	t.running.Go(func() { task(t.ctx) })
	return true
}

// close ends all tasks and waits for them.
func (t *tasks) close() {
	t.mu.Lock()
	t.stop()
	t.mu.Unlock()
	t.running.Wait()
}
