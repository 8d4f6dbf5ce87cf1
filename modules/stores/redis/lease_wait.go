package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// awaitBound is how long a call waits for one elsewhere before it goes on by itself.
	awaitBound = 10 * time.Second
	// Whether a lease is over is also asked, ever more seldom: a gateway that dies tells nobody.
	leastPoll = 50 * time.Millisecond
	mostPoll  = 200 * time.Millisecond
)

// waits are the leases of others that calls here wait for. All calls that wait for the same share one wait, and all waits
// one connection, on which Redis tells that a lease is over.
type waits struct {
	client *Client
	tasks  *tasks
	bound  time.Duration

	mu     sync.Mutex
	byName map[string]*wait
	ends   *goredis.PubSub
}

// wait is one lease that is waited for.
type wait struct {
	name    string
	waiting int
	cancel  context.CancelFunc
	told    chan struct{} // has a value once Redis told of the end
	over    chan struct{}
}

// await returns once the lease of a key is over, the bound or the context ends, or the store is closed.
func (ws *waits) await(ctx context.Context, key gateway.AnswerKey) {
	ctx, cancel := context.WithTimeout(ctx, ws.bound)
	defer cancel()
	w := ws.join(leaseName(key))
	defer ws.leave(w)
	select {
	case <-w.over:
	case <-ctx.Done():
	case <-ws.tasks.ctx.Done():
	}
}

func (ws *waits) join(name string) *wait {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w, ok := ws.byName[name]; ok {
		w.waiting++
		return w
	}
	ctx, cancel := context.WithCancel(ws.tasks.ctx)
	w := &wait{name: name, waiting: 1, cancel: cancel, told: make(chan struct{}, 1), over: make(chan struct{})}
	if ws.byName == nil {
		ws.byName = make(map[string]*wait)
	}
	ws.byName[name] = w
	ws.tasks.begin(func(context.Context) { ws.follow(ctx, w) })
	return w
}

// leave ends a wait with the last call that waits.
func (ws *waits) leave(w *wait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.waiting--; w.waiting == 0 {
		ws.forget(w)
	}
}

// forget has later calls begin a wait of their own.
func (ws *waits) forget(w *wait) {
	w.cancel()
	if ws.byName[w.name] == w {
		delete(ws.byName, w.name)
	}
}

// follow watches a lease until it is over or nobody waits. Where Redis does not answer, the wait is over too: a call that waits
// for nothing is worse than one too many.
func (ws *waits) follow(ctx context.Context, w *wait) {
	defer ws.end(w)
	if !ws.taken(ctx, w.name) {
		return
	}
	ws.subscribe(ctx, w.name)
	defer ws.unsubscribe(w)
	for poll := time.Duration(0); ; poll = min(max(2*poll, leastPoll), mostPoll) {
		select {
		case <-ctx.Done():
			return
		case <-w.told:
			return
		case <-time.After(poll): // at once, for what ended before the subscription
		}
		if !ws.taken(ctx, w.name) {
			return
		}
	}
}

func (ws *waits) end(w *wait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.forget(w)
	close(w.over)
}

// taken asks whether somebody has a lease.
func (ws *waits) taken(ctx context.Context, name string) bool {
	var found int64
	err := ws.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) (err error) {
		found, err = rdb.Exists(ctx, name).Result()
		return err
	})
	return err == nil && found > 0
}

// subscribe has Redis tell of a lease's end. Where that fails, the end is found by asking.
func (ws *waits) subscribe(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, max(ws.client.Timeout(), dialTimeout))
	defer cancel()
	if ends := ws.connection(); ends != nil {
		ends.Subscribe(ctx, name) //nolint:errcheck
	}
}

// unsubscribe leaves the channel, unless another wait for the same has begun.
func (ws *waits) unsubscribe(w *wait) {
	ws.mu.Lock()
	other := ws.byName[w.name]
	ws.mu.Unlock()
	if ends := ws.connection(); ends != nil && (other == nil || other == w) {
		ctx, cancel := context.WithTimeout(ws.tasks.ctx, ws.client.Timeout())
		defer cancel()
		ends.Unsubscribe(ctx, w.name) //nolint:errcheck
	}
}

// connection is where the ends of leases are told. It is made for the first wait, stays until the store is closed, and is
// nil from then on.
func (ws *waits) connection() *goredis.PubSub {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ends == nil {
		ends := ws.client.Redis().Subscribe(ws.tasks.ctx)
		if !ws.tasks.begin(func(ctx context.Context) { ws.tell(ctx, ends) }) {
			return nil
		}
		ws.ends = ends
	}
	return ws.ends
}

// tell wakes the waits that Redis tells of.
func (ws *waits) tell(ctx context.Context, ends *goredis.PubSub) {
	closing := context.AfterFunc(ctx, func() { ends.Close() }) //nolint:errcheck
	defer closing()
	for message := range ends.Channel() { // until it is closed
		ws.mu.Lock()
		if w, ok := ws.byName[message.Channel]; ok {
			select {
			case w.told <- struct{}{}:
			default:
			}
		}
		ws.mu.Unlock()
	}
}
