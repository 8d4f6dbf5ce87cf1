package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// leasePrefix begins the names of leases and of the channels on which their end is told. They stand beside the answers,
	// so that DEL of cache:* takes them along: that costs a call upstream, no more.
	leasePrefix = "cache:lease:"
	// leaseTTL is how long a lease outlives a gateway that dies.
	leaseTTL = 10 * time.Second
	// leaseBound is how long a lease is renewed at most: longer than any answer takes.
	leaseBound = 10 * time.Minute
)

var (
	// A lease that is over may be somebody else's by now.
	renewLease = goredis.NewScript(`
		if redis.call('GET', KEYS[1]) == ARGV[1] then
			return redis.call('PEXPIRE', KEYS[1], ARGV[2])
		end
		return 0`)
	releaseLease = goredis.NewScript(`
		if redis.call('GET', KEYS[1]) == ARGV[1] then
			redis.call('DEL', KEYS[1])
			redis.call('PUBLISH', KEYS[1], '')
		end
		return 0`)
)

// leases are the calls upstream that this gateway makes for all. They are renewed together while there are any.
type leases struct {
	client *Client
	tasks  *tasks
	ttl    time.Duration

	mu       sync.Mutex
	held     map[*lease]struct{}
	renewing bool
}

type lease struct {
	name, token string
	until       time.Time // when it is renewed no more
}

// take asks for the lease of a key.
func (ls *leases) take(ctx context.Context, key gateway.AnswerKey) (release func(), granted bool, err error) {
	l := &lease{name: leaseName(key), token: rand.Text(), until: time.Now().Add(leaseBound)}
	err = ls.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) (err error) {
		granted, err = rdb.SetNX(ctx, l.name, l.token, ls.ttl).Result()
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("taking lease: %w", err)
	}
	if !granted {
		return nil, false, nil
	}
	ls.hold(l)
	return sync.OnceFunc(func() { ls.release(context.WithoutCancel(ctx), l) }), true, nil
}

func (ls *leases) hold(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.held == nil {
		ls.held = make(map[*lease]struct{})
	}
	ls.held[l] = struct{}{}
	if !ls.renewing {
		ls.renewing = true
		ls.tasks.begin(ls.renew)
	}
}

// release gives a lease back and tells all who wait. If Redis cannot be reached, it runs out by itself.
func (ls *leases) release(ctx context.Context, l *lease) {
	ls.mu.Lock()
	delete(ls.held, l)
	ls.mu.Unlock()
	ls.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) error { //nolint:errcheck
		return releaseLease.Run(ctx, rdb, []string{l.name}, l.token).Err()
	})
}

// renew keeps all leases that are held, until there are none.
func (ls *leases) renew(ctx context.Context) {
	ticker := time.NewTicker(ls.ttl / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		held := ls.due()
		if held == nil {
			return
		}
		// What fails is tried again before the lease is over. A lease that was lost costs a second call upstream.
		ls.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) error { //nolint:errcheck
			_, err := rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
				for _, l := range held {
					// The text instead of its digest: a pipeline cannot answer NOSCRIPT.
					renewLease.Eval(ctx, pipe, []string{l.name}, l.token, ls.ttl.Milliseconds())
				}
				return nil
			})
			return err
		})
	}
}

// due lists what is to be renewed. Where that is nothing, renewing ends.
func (ls *leases) due() []*lease {
	now := time.Now()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	maps.DeleteFunc(ls.held, func(l *lease, _ struct{}) bool { return now.After(l.until) })
	ls.renewing = len(ls.held) > 0
	return slices.Collect(maps.Keys(ls.held))
}

func leaseName(key gateway.AnswerKey) string { return leasePrefix + hex.EncodeToString(key[:]) }
