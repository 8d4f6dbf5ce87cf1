// Package redis keeps limits and answers in Redis or Valkey, so that any number of gateways behave as one.
package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"
)

// Defaults of a connection to Redis.
const (
	DefaultTimeout = 50 * time.Millisecond
	// dialTimeout is the least that a dial may take, though an operation may not: a dial goes on behind the operation that wanted it.
	dialTimeout = 200 * time.Millisecond
)

// probeEvery is how long Redis is left alone between two attempts to reach it again. Up to a quarter is added or taken off by
// chance, so that a fleet does not return all at once.
const probeEvery = 500 * time.Millisecond

func init() { goredis.SetLogger(silence{}) }

// silence is the log of go-redis, which would get a line for each connection that cannot be made. The client tells of changes.
type silence struct{}

// Printf writes nothing.
func (silence) Printf(context.Context, string, ...any) {}

// ErrOpen says that Redis was not asked, because it has failed too often just now.
var ErrOpen = errors.New("redis is not asked: it has failed too often just now")

// errSaysNothing is the error of an operation that says nothing about how Redis fares.
var errSaysNothing = errors.New("redis may be well")

// operation is something to ask of Redis.
type operation = func(ctx context.Context, rdb goredis.UniversalClient) error

// Client is a pool of connections behind a circuit breaker. It dials when it is first used, and starts with Redis down as well
// as up. It is safe for concurrent use.
type Client struct {
	rdb       goredis.UniversalClient
	sentinels *sentinels // nil where there are none
	batches   *batcher   // nil for a Cluster, where a master that hangs would hold up calls that go along to others
	timeout   time.Duration
	breaker   *breaker
	log       *zap.Logger
	where     string

	mu       sync.Mutex
	watchers []func(up bool)
	trial    operation
	ctx      context.Context
	stop     context.CancelFunc
	asking   bool // whether probe runs
	probing  sync.WaitGroup
}

// NewClient makes a client for a URL; see [parseURL] for its forms. An operation takes at most timeout, zero meaning
// [DefaultTimeout]; poolSize bounds the connections to each node, zero meaning ten for each CPU. Nothing is dialled.
func NewClient(url string, timeout time.Duration, poolSize int, log *zap.Logger) (*Client, error) {
	options, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	rdb := open(options, timeout, poolSize)
	c := &Client{rdb: rdb, sentinels: newSentinels(options), timeout: timeout, breaker: newBreaker(timeout), log: log, where: strings.Join(options.Addrs, ",")}
	if _, one := rdb.(*goredis.Client); one {
		c.batches = newBatcher()
	}
	c.trial = ping
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// open makes the connections that suit a gateway: quick to give up, and never asking twice, since a script whose answer
// was lost may have run.
func open(o *goredis.UniversalOptions, timeout time.Duration, poolSize int) goredis.UniversalClient {
	o.MaxRetries = -1
	o.DialTimeout, o.DialerRetries = max(timeout, dialTimeout), 1
	o.ReadTimeout, o.WriteTimeout = timeout, timeout
	o.PoolTimeout = timeout - timeout/10 // sooner than the operation's own end, so that what was never sent is known to be
	o.ContextTimeoutEnabled = true
	o.PoolSize = poolSize
	o.PipelinePoolSize = -1 // pipelines share the connections
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if !o.IsClusterMode {
		return goredis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	cluster.DisableRoutingPolicies = true // every command of ours names its key
	return goredis.NewClusterClient(cluster)
}

// Do runs an operation unless Redis is known to be down; then it returns [ErrOpen] at once. The operation's context ends with
// the client's timeout. [goredis.Nil] is an answer like any other and is returned as it is.
func (c *Client) Do(ctx context.Context, operation operation) error {
	trial, allowed := c.breaker.allow()
	if !allowed {
		return ErrOpen
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	said, err := unknown, error(nil)
	defer func() { c.report(trial, said, err) }() // even where the operation panics: a trial must end
	err = operation(bounded, c.rdb)
	said = outcomeOf(ctx, err)
	return err
}

// Redis is the connections themselves, past the breaker: for subscriptions, which know by themselves when they are cut.
func (c *Client) Redis() goredis.UniversalClient { return c.rdb }

// Timeout is how long an operation may take.
func (c *Client) Timeout() time.Duration { return c.timeout }

// Up reports whether Redis is asked.
func (c *Client) Up() bool { return c.breaker.closed() }

// Watch has a function called with every change of [Client.Up], and now. It must not block.
func (c *Client) Watch(watcher func(up bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, watcher)
	watcher(c.Up())
}

// TryWith has a Redis that came back tried with an operation that is like a call's, where too few calls come to try it.
func (c *Client) TryWith(trial operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trial = trial
}

// Ping tells whether every node that keeps data answers.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.timeout, dialTimeout))
	defer cancel()
	return ping(ctx, c.rdb)
}

func ping(ctx context.Context, rdb goredis.UniversalClient) error {
	return eachMaster(ctx, rdb, func(ctx context.Context, server *goredis.Client) error { return server.Ping(ctx).Err() })
}

// Close ends all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.probing.Wait()
	c.sentinels.close()
	if err := c.rdb.Close(); err != nil {
		return fmt.Errorf("closing redis: %w", err)
	}
	return nil
}

func (c *Client) report(trial bool, o outcome, cause error) {
	if !c.breaker.report(time.Now(), trial, o) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	up := c.Up()
	if up {
		c.log.Info("redis is back", zap.String("address", c.where))
	} else {
		message := "redis does not answer; going on without it"
		if refused(cause) {
			message = "redis refuses this gateway; going on without it; check user, password and rights"
		}
		c.log.Warn(message, zap.String("address", c.where), zap.Error(cause))
		if !c.asking && c.ctx.Err() == nil {
			c.asking = true
			c.probing.Go(c.probe)
		}
	}
	for _, watcher := range c.watchers {
		watcher(up)
	}
}

// probe asks for a sign of life until there is one and trials have then succeeded, so that no call pays for finding out.
// The first attempt is made at once, since most of what hangs does so for a moment. The trials are left to calls, which know best
// what Redis is needed for; by the time of the next attempt they have been made, or there are too few calls.
func (c *Client) probe() {
	for pause := time.Duration(0); ; pause = probeEvery*3/4 + rand.N(probeEvery/2) {
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(pause):
		}
		c.mu.Lock()
		if c.Up() {
			c.asking = false
			c.mu.Unlock()
			return
		}
		trial := c.trial
		c.mu.Unlock()
		if c.Ping(c.ctx) == nil && !c.breaker.revive() {
			c.try(trial)
		}
	}
}

// try makes the trials that are still missing, until one fails or a call makes one itself.
func (c *Client) try(trial operation) {
	for c.breaker.at() == stageTrial && c.Do(c.ctx, trial) == nil {
	}
}

// outcomeOf judges Redis by how an operation ended. That the caller left says nothing, and an answer that only this operation
// gets, such as one about a key of the wrong type, speaks of a Redis in good health.
func outcomeOf(caller context.Context, err error) outcome {
	switch {
	case err == nil, errors.Is(err, goredis.Nil), strings.Contains(err.Error(), "WRONGTYPE"):
		return succeeded
	case caller.Err() != nil, errors.Is(err, errSaysNothing):
		return unknown
	}
	if network := net.Error(nil); errors.As(err, &network) && network.Timeout() {
		return hung
	}
	return failed
}

// refused tells whether Redis knows this gateway's user and password and lets them do what was asked.
func refused(err error) bool { return goredis.IsAuthError(err) || goredis.IsPermissionError(err) }
