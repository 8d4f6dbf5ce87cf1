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
	w := &wait{waiting: 1, cancel: cancel, told: make(chan struct{}, 1), over: make(chan struct{})}
	if ws.byName == nil {
		ws.byName = make(map[string]*wait)
	}
	ws.byName[name] = w
	ws.tasks.begin(func(context.Context) { ws.follow(ctx, name, w) })
	return w
}

// leave ends a wait with the last call that waits.
func (ws *waits) leave(w *wait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.waiting--; w.waiting == 0 {
		w.cancel()
	}
}

// follow watches a lease until it is over or nobody waits. Where Redis does not answer, the wait is over too: a call that waits
// for nothing is worse than one too many.
func (ws *waits) follow(ctx context.Context, name string, w *wait) {
	defer ws.end(name, w)
	if !ws.taken(ctx, name) {
		return
	}
	defer ws.unsubscribe(name)
	ws.subscribe(ctx, name)
	for poll := time.Duration(0); ; poll = min(max(2*poll, leastPoll), mostPoll) {
		select {
		case <-ctx.Done():
			return
		case <-w.told:
			return
		case <-time.After(poll): // at once, for what ended before the subscription
		}
		if !ws.taken(ctx, name) {
			return
		}
	}
}

func (ws *waits) end(name string, w *wait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.cancel()
	delete(ws.byName, name)
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

// subscribe has Redis tell of a lease's end. Without, it is found by asking.
func (ws *waits) subscribe(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, max(ws.client.Timeout(), dialTimeout))
	defer cancel()
	ws.connection().Subscribe(ctx, name) //nolint:errcheck
}

func (ws *waits) unsubscribe(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), ws.client.Timeout())
	defer cancel()
	ws.connection().Unsubscribe(ctx, name) //nolint:errcheck
}

// connection is what leases' ends are told on. It stays until the store is closed.
func (ws *waits) connection() *goredis.PubSub {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ends == nil {
		ws.ends = ws.client.Redis().Subscribe(ws.tasks.ctx)
		messages := ws.ends.Channel()
		ws.tasks.begin(func(context.Context) { ws.tell(messages) })
	}
	return ws.ends
}

// tell wakes the waits that Redis tells of, until the connection is closed.
func (ws *waits) tell(messages <-chan *goredis.Message) {
	for message := range messages {
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
