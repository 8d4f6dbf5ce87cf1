package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// gate holds round trips up until it is opened, and counts them.
type gate struct {
	mu     sync.Mutex
	sizes  []int // commands of each round trip
	opened chan struct{}
}

func (g *gate) pass(commands int) {
	g.mu.Lock()
	g.sizes = append(g.sizes, commands)
	g.mu.Unlock()
	<-g.opened
}

func (g *gate) trips() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]int(nil), g.sizes...)
}

func (*gate) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (g *gate) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, command goredis.Cmder) error {
		g.pass(1)
		return next(ctx, command)
	}
}

func (g *gate) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, commands []goredis.Cmder) error {
		g.pass(len(commands))
		return next(ctx, commands)
	}
}

// gated is a connection whose round trips wait for a gate.
func gated(t *testing.T) (goredis.UniversalClient, *gate) {
	rdb := startServer(t).patient().Redis()
	if err := rdb.Ping(t.Context()).Err(); err != nil { // a new connection has commands of its own
		t.Fatal(err)
	}
	g := &gate{opened: make(chan struct{})}
	rdb.AddHook(g)
	return rdb, g
}

// waiting is how many calls wait for pipelines under way.
func (b *batcher) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		return 0
	}
	return b.next.calls
}

// checkIdle wants nobody to be under way or to wait once all is done.
func (b *batcher) checkIdle(t *testing.T) {
	t.Helper()
	if b.underWay != 0 || b.waiting() != 0 {
		t.Errorf("%d are under way and %d wait when all is done", b.underWay, b.waiting())
	}
}

func TestCallsThatComeWhileOthersAreUnderWayGoTogether(t *testing.T) {
	rdb, g := gated(t)
	b := &batcher{most: 1, patience: time.Hour}
	const calls = 10
	var all sync.WaitGroup
	send := func(i int) {
		all.Go(func() {
			set := goredis.NewStatusCmd(t.Context(), "set", "key"+strconv.Itoa(i), i)
			get := goredis.NewIntCmd(t.Context(), "get", "key"+strconv.Itoa(i))
			b.send(t.Context(), rdb, set, get)
			if n, err := get.Result(); err != nil || set.Err() != nil || n != int64(i) {
				t.Errorf("call %d is answered %d, %v, %v", i, n, err, set.Err())
			}
		})
	}
	send(0)
	await(t, "the first call goes at once", func() bool { return len(g.trips()) == 1 })
	for i := range calls {
		send(i + 1)
	}
	await(t, "the others wait for it", func() bool { return b.waiting() == calls })
	close(g.opened)
	all.Wait()
	if got := fmt.Sprint(g.trips()); got != fmt.Sprint([]int{2, 2 * calls}) {
		t.Errorf("the round trips have %s commands", got)
	}
	b.checkIdle(t)
}

func TestACallWaitsForOthersForAWhileOnly(t *testing.T) {
	rdb, g := gated(t)
	b := &batcher{most: 1, patience: time.Millisecond}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { b.send(t.Context(), rdb, goredis.NewStatusCmd(t.Context(), "ping")) })
	}
	await(t, "nobody waits for what hangs", func() bool {
		total := 0
		for _, size := range g.trips() {
			total += size
		}
		return total == 3
	})
	close(g.opened)
	all.Wait()
	b.checkIdle(t)
}

func TestAFullBatchLeavesForThoseWhoComeAfterIt(t *testing.T) {
	rdb, g := gated(t)
	b := &batcher{most: 1, patience: time.Hour}
	var all sync.WaitGroup
	for range 1 + maxBatch + 2 {
		all.Go(func() { b.send(t.Context(), rdb, goredis.NewStatusCmd(t.Context(), "ping")) })
	}
	await(t, "the full batch is under way", func() bool { return fmt.Sprint(g.trips()) == fmt.Sprint([]int{1, maxBatch}) && b.waiting() == 2 })
	close(g.opened)
	all.Wait()
	b.checkIdle(t)
}

func TestOfABatchThatBreaksOneCallTellsTheBreaker(t *testing.T) {
	s := startServer(t)
	client := s.client()
	client.batches = &batcher{most: 1, patience: time.Hour}
	g := &gate{opened: make(chan struct{})}
	l := openLimiter(t, client, Deny, nil)
	client.Redis().AddHook(g)
	var all sync.WaitGroup
	ask := func() {
		all.Go(func() {
			l.run(t.Context(), []invocation{liveScript.invocation(t.Context(), []any{nil, nil, 1, "key", "name", 1000})}, nil) //nolint:errcheck // it is to fail
		})
	}
	ask()
	await(t, "one is under way", func() bool { return len(g.trips()) == 1 })
	for range 2 * openAfter {
		ask()
	}
	await(t, "the others go together", func() bool { return client.batches.waiting() == 2*openAfter })
	s.kill()
	close(g.opened)
	all.Wait()
	if !client.Up() {
		t.Error("two broken pipelines count as more than two failures")
	}
}

// defect panics instead of asking several things at once.
type defect struct{}

func (defect) DialHook(next goredis.DialHook) goredis.DialHook          { return next }
func (defect) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }
func (defect) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(context.Context, []goredis.Cmder) error { panic("a defect") }
}

func TestWhoeverGoesAlongWithAPanicIsTold(t *testing.T) {
	rdb, g := gated(t)
	rdb.AddHook(defect{})
	b := &batcher{most: 1, patience: time.Hour}
	var all sync.WaitGroup
	var panics atomic.Int32
	send := func(command goredis.Cmder) {
		all.Go(func() {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			b.send(t.Context(), rdb, command)
		})
	}
	send(goredis.NewStatusCmd(t.Context(), "ping"))
	await(t, "the first call goes at once", func() bool { return len(g.trips()) == 1 })
	commands := make([]goredis.Cmder, 3)
	for i := range commands {
		commands[i] = goredis.NewStatusCmd(t.Context(), "ping")
		send(commands[i])
	}
	await(t, "the others wait for it", func() bool { return b.waiting() == len(commands) })
	close(g.opened)
	all.Wait()
	if panics.Load() != 1 || b.underWay != 0 {
		t.Errorf("%d calls panic, %d are under way", panics.Load(), b.underWay)
	}
	for i, command := range commands {
		if command.Err() == nil {
			t.Errorf("call %d is told of success", i)
		}
	}
}

func TestEachCallOfABatchThatBreaksIsTold(t *testing.T) {
	s := startServer(t)
	rdb := s.client().Redis()
	b := &batcher{most: 1, patience: time.Millisecond}
	ask := func() (failed int) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 20 {
			all.Go(func() {
				command := goredis.NewStatusCmd(t.Context(), "ping")
				b.send(t.Context(), rdb, command)
				mu.Lock()
				defer mu.Unlock()
				if command.Err() != nil {
					failed++
				}
			})
		}
		all.Wait()
		return failed
	}
	if failed := ask(); failed != 0 {
		t.Errorf("%d of 20 failed", failed)
	}
	s.kill()
	if failed := ask(); failed != 20 {
		t.Errorf("%d of 20 failed without a server", failed)
	}
	s.start()
	await(t, "all is well again", func() bool { return ask() == 0 })
}

func TestManyCallsGetTheirOwnAnswers(t *testing.T) {
	rdb := startServer(t).patient().Redis()
	b := newBatcher()
	var all sync.WaitGroup
	for caller := range 32 {
		all.Go(func() {
			for n := range 100 {
				counted := goredis.NewIntCmd(t.Context(), "incr", "caller:"+strconv.Itoa(caller))
				b.send(t.Context(), rdb, counted)
				if got, err := counted.Result(); err != nil || got != int64(n+1) {
					t.Errorf("caller %d counts %d, %v, want %d", caller, got, err, n+1)
					return
				}
			}
		})
	}
	all.Wait()
	b.checkIdle(t)
}
