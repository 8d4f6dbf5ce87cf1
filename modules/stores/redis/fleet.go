package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

const (
	// liveKey is where gateways leave their signs of life. No reset of limits or answers touches it.
	liveKey = "gateway:live"
	// liveTTL is how long a gateway that has died is still counted.
	liveTTL = 30 * time.Second
	// liveEvery leaves two more attempts when one fails.
	liveEvery = 10 * time.Second
	// liveSoon follows a sign that failed and the first that did not, when others may be about to leave theirs too.
	liveSoon = time.Second
)

// fleet counts the gateways that use the same Redis. Each leaves a sign of life there, and learns with it how many are fresh. What
// was learned last is kept while Redis is away; before that, a gateway knows of itself only.
//
// Two configs that are in use at once, as after a reload while a long call goes on, leave a sign each where they differ in the
// store: the fleet then seems larger than it is.
type fleet struct {
	client *Client
	name   string
	ttl    time.Duration
	every  time.Duration
	soon   time.Duration

	size    atomic.Int64
	joining sync.Once
	tasks   *tasks
}

// newFleet makes a fleet of one. Nothing is asked of Redis, and no goroutine runs, before it is joined.
func newFleet(client *Client) *fleet {
	f := &fleet{client: client, name: processName(), ttl: liveTTL, every: liveEvery, soon: liveSoon, tasks: newTasks()}
	f.learn(1)
	return f
}

// join has this gateway counted from now on.
func (f *fleet) join() { f.joining.Do(func() { f.tasks.begin(f.live) }) }

// close takes this gateway out of the count.
func (f *fleet) close() { f.tasks.close() }

// share is what this gateway may admit of a limit when each has to decide for itself. All shares together are no less than the limit,
// and less than one unit for each gateway more.
func (f *fleet) share(n int64) int64 {
	size := f.size.Load()
	if n < 1 || size < 2 {
		return n
	}
	return (n-1)/size + 1
}

// live leaves signs of life until the gateway is closed, and then takes the last one away.
func (f *fleet) live(ctx context.Context) {
	defer f.leave(context.WithoutCancel(ctx))
	checked, settled, told := false, false, false
	for ctx.Err() == nil {
		err := f.client.Do(ctx, f.beat)
		if err == nil && !checked {
			checked = f.client.checkEviction(ctx)
		}
		if goredis.IsPermissionError(err) && !told {
			told = true
			f.client.log.Warn("redis does not let this gateway be counted; on_error local will not divide limits among gateways; allow its user the key "+liveKey, zap.Error(err))
		}
		pause := f.soon
		if err == nil && settled {
			pause = f.every
		}
		settled = err == nil
		select {
		case <-ctx.Done():
		case <-time.After(pause*3/4 + rand.N(pause/2)):
		}
	}
}

// beat leaves one sign of life. A Redis that does not allow that may be in the best of health.
func (f *fleet) beat(ctx context.Context, rdb goredis.UniversalClient) error {
	calls := []invocation{liveScript.invocation(ctx, []any{nil, nil, 1, liveKey, f.name, microseconds(f.ttl)})}
	switch err := run(ctx, rdb, nil, calls, nil); {
	case goredis.IsPermissionError(err):
		return fmt.Errorf("%w: %w", errSaysNothing, err)
	case err != nil:
		return err
	}
	f.learn(calls[0].Val()[0])
	return nil
}

// leave takes the sign away. Where that fails, it is fresh for a while.
func (f *fleet) leave(ctx context.Context) {
	f.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) error { //nolint:errcheck
		return rdb.ZRem(ctx, liveKey, f.name).Err()
	})
}

func (f *fleet) learn(size int64) {
	size = max(size, 1)
	f.size.Store(size)
	processMetrics().fleetSize.Set(float64(size))
}
