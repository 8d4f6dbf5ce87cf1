package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// answerPrefix begins the names of all answers in Redis; the key follows as 64 hexadecimal digits. The number is the
// version of their frames, so that gateways of two versions neither read nor delete each other's.
const answerPrefix = "cache:1:"

// Answers keeps answers in Redis for all gateways, and in a first level in the process, which costs no round trip.
//
// Redis tells every gateway of every answer that is changed, deleted or expires (CLIENT TRACKING), and of FLUSHALL and
// FLUSHDB, and the first level forgets it. While a gateway cannot be told, it does without a first level. On Cluster that
// is while any master cannot tell.
type Answers struct {
	client   *Client
	first    func() gateway.AnswerStore
	maxBytes int64
	log      *zap.Logger
	now      func() time.Time

	level    atomic.Pointer[level]
	watching sync.Once
	tasks    *tasks
	leases   *leases
	waits    *waits
}

// newAnswers makes a store over a client, which stays the caller's. first makes an empty first level; nil does without one.
// An answer whose body has more than maxBytes bytes is not kept. Nothing is asked of Redis, and no goroutine runs, before
// the store is used.
func newAnswers(client *Client, first func() gateway.AnswerStore, maxBytes int64, log *zap.Logger) *Answers {
	tasks := newTasks()
	return &Answers{
		client:   client,
		first:    first,
		maxBytes: min(maxBytes, maxBody),
		log:      log,
		now:      time.Now,
		tasks:    tasks,
		leases:   &leases{client: client, tasks: tasks, ttl: leaseTTL},
		waits:    &waits{client: client, tasks: tasks, bound: awaitBound},
	}
}

// Answer finds a fresh answer: in the first level, else in Redis with one round trip.
func (a *Answers) Answer(ctx context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	look := a.look(ctx, key)
	if look.answer != nil {
		return look.answer, nil
	}
	answer, err := a.fetch(ctx, key, look.name)
	return look.keep(ctx, answer), err
}

// StaleAnswer finds an answer that Redis holds, fresh or not.
func (a *Answers) StaleAnswer(ctx context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	answer, err := a.fetch(ctx, key, answerName(key))
	if answer == nil || !a.now().Before(keptUntil(answer)) {
		return nil, err
	}
	return answer, nil
}

// fetch reads what Redis holds.
func (a *Answers) fetch(ctx context.Context, key gateway.AnswerKey, name string) (*gateway.Answer, error) {
	var frame []byte
	err := a.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) (err error) {
		frame, err = rdb.Get(ctx, name).Bytes()
		return err
	})
	return a.read(ctx, key, name, frame, err)
}

// read makes an answer of what Redis said. What is no answer to the key is deleted.
func (a *Answers) read(ctx context.Context, key gateway.AnswerKey, name string, frame []byte, err error) (*gateway.Answer, error) {
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading answer from Redis: %w", err)
	}
	answer, err := parseFrame(frame, key)
	if err != nil {
		a.log.Warn("deleting what is no answer", zap.String("key", name), zap.Error(err))
		return nil, a.DeleteAnswer(ctx, key)
	}
	return answer, nil
}

// PutAnswer keeps an answer until StaleUntil or Expires, whichever is later, or up to a tenth less.
func (a *Answers) PutAnswer(ctx context.Context, key gateway.AnswerKey, answer *gateway.Answer) error {
	left := keptUntil(answer).Sub(a.now())
	if left <= 0 || int64(len(answer.Body)) > a.maxBytes {
		return a.DeleteAnswer(ctx, key)
	}
	a.watch()
	name := answerName(key)
	frame := appendFrame(nil, key, answer)
	ttl := jittered(left, rand.Float64())

	level := a.level.Load()
	changes := level.changes(key)
	quiet := false
	err := a.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) (err error) {
		if quiet, err = level.set(ctx, name, frame, ttl); quiet {
			return err
		}
		return rdb.Set(ctx, name, frame, ttl).Err()
	})
	// The news of a write that was not quiet would take the answer away again.
	if !quiet || err != nil || !level.keep(ctx, key, changes, answer) {
		level.drop(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("writing answer to Redis: %w", err)
	}
	return nil
}

// DeleteAnswer forgets one, on every gateway.
func (a *Answers) DeleteAnswer(ctx context.Context, key gateway.AnswerKey) error {
	err := a.client.Do(ctx, func(ctx context.Context, rdb goredis.UniversalClient) error {
		return rdb.Del(ctx, answerName(key)).Err()
	})
	a.level.Load().drop(ctx, key)
	if err != nil {
		return fmt.Errorf("deleting answer from Redis: %w", err)
	}
	return nil
}

// AnswerStats counts this process's first level only, and nothing while there is none. Redis cannot count the keys of one
// kind without reading the names of all; INFO and DBSIZE tell what it holds altogether.
func (a *Answers) AnswerStats(ctx context.Context) (gateway.AnswerStats, error) {
	level := a.level.Load()
	if level == nil {
		return gateway.AnswerStats{}, nil
	}
	return level.store.AnswerStats(ctx)
}

// Lease asks to be the one gateway who makes an answer; see [gateway.Leaser].
func (a *Answers) Lease(ctx context.Context, key gateway.AnswerKey) (release func(), granted bool, err error) {
	return a.leases.take(ctx, key)
}

// Await waits for whoever holds the lease, 10 seconds at most; see [gateway.Leaser].
func (a *Answers) Await(ctx context.Context, key gateway.AnswerKey) { a.waits.await(ctx, key) }

// Close ends what the store has begun, and drops the first level. Leases that are held run out by themselves.
func (a *Answers) Close() error {
	a.tasks.close()
	return nil
}

func answerName(key gateway.AnswerKey) string {
	var name [len(answerPrefix) + 2*len(key)]byte
	copy(name[:], answerPrefix)
	hex.Encode(name[len(answerPrefix):], key[:])
	return string(name[:])
}

// keptUntil is when an answer is of no use any more.
func keptUntil(answer *gateway.Answer) time.Time {
	if answer.StaleUntil.After(answer.Expires) {
		return answer.StaleUntil
	}
	return answer.Expires
}

// jittered takes up to a tenth off, by a number from 0 to 1, so that what came together does not go together.
func jittered(ttl time.Duration, by float64) time.Duration {
	return max(ttl-time.Duration(float64(ttl)/10*by), time.Millisecond)
}

// Interface guards
var (
	_ gateway.AnswerStore      = (*Answers)(nil)
	_ gateway.StaleAnswerStore = (*Answers)(nil)
	_ gateway.Leaser           = (*Answers)(nil)
)
