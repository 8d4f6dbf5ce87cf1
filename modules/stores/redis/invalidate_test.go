package redis

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

var nopLog = zap.NewNop()

// forgottenWithin is the bound that is promised for every change in Redis.
const forgottenWithin = time.Second

func TestWhatIsDeletedInRedisIsForgottenByEveryGateway(t *testing.T) {
	server := redistest.Start(t)
	_, port, _ := strings.Cut(server.Address, ":")
	for name, command := range map[string]string{
		"DEL of the documented pattern": `redis-cli -p ` + port + ` KEYS "cache:*" | xargs redis-cli -p ` + port + ` DEL`,
		"UNLINK":                        `redis-cli -p ` + port + ` --scan --pattern "cache:*" | xargs redis-cli -p ` + port + ` UNLINK`,
		"FLUSHALL":                      `redis-cli -p ` + port + ` FLUSHALL`,
		"FLUSHALL ASYNC":                `redis-cli -p ` + port + ` FLUSHALL ASYNC`,
		"FLUSHDB":                       `redis-cli -p ` + port + ` FLUSHDB`,
	} {
		t.Run(name, func(t *testing.T) {
			stores := []*Answers{openCache(t, server.URL()), openCache(t, server.URL())}
			withFirstLevel(t, stores...)
			for i := range byte(10) {
				key := gateway.AnswerKey{i}
				putAnswer(t, stores[i%2], key, anAnswer("kept"))
				for _, s := range stores {
					bringNear(t, s, key, "kept")
				}
			}
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			within(t, forgottenWithin, "all answers to be forgotten", func() bool {
				for i := range byte(10) {
					for _, s := range stores {
						if bodyOf(t, s, gateway.AnswerKey{i}) != "" {
							return false
						}
					}
				}
				return true
			})
			withFirstLevel(t, stores...) // again
		})
	}
}

func TestDeletingOnOneGatewayIsForgottenByAll(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	withFirstLevel(t, a, b)
	key := gateway.AnswerKey{1}
	putAnswer(t, a, key, anAnswer("kept"))
	bringNear(t, b, key, "kept")
	if err := a.DeleteAnswer(t.Context(), key); err != nil {
		t.Fatalf("deleting: %v", err)
	}
	if got := bodyOf(t, a, key); got != "" {
		t.Errorf("the gateway that deleted it finds %q", got)
	}
	within(t, forgottenWithin, "the other gateway to forget", func() bool { return bodyOf(t, b, key) == "" })
}

func TestAnAnswerReplacedOnOneGatewayIsReplacedOnAll(t *testing.T) {
	server := redistest.Start(t)
	a, b := openCache(t, server.URL()), openCache(t, server.URL())
	withFirstLevel(t, a, b)
	key := gateway.AnswerKey{1}
	putAnswer(t, a, key, anAnswer("old"))
	bringNear(t, a, key, "old")
	bringNear(t, b, key, "old")
	putAnswer(t, b, key, anAnswer("new"))
	if got := bodyOf(t, b, key); got != "new" {
		t.Errorf("the gateway that put it finds %q", got)
	}
	within(t, forgottenWithin, "the new answer", func() bool { return bodyOf(t, a, key) == "new" })
}

func TestAGatewayKeepsNearWhatItHasPutItself(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	withFirstLevel(t, store)
	key, other := gateway.AnswerKey{1}, gateway.AnswerKey{2}
	before := store.level.Load()
	// A ping holds the quiet connection for a moment, when a put takes another and the answer is near only once it was read.
	within(t, 5*time.Second, "a quiet put", func() bool {
		putAnswer(t, store, key, anAnswer("mine"))
		return near(store, key)
	})
	putAnswer(t, store, other, anAnswer("not mine"))
	bringNear(t, store, other, "not mine")
	// Once the news of a later change is here, the news of the put would be.
	if err := server.Del(t.Context(), answerName(other)).Err(); err != nil {
		t.Fatal(err)
	}
	within(t, forgottenWithin, "the other answer to be forgotten", func() bool { return !near(store, other) })
	if store.level.Load() == before && !near(store, key) {
		t.Error("a gateway's own put made it forget the answer")
	}
}

func TestAnAnswerDeletedWhileItIsReadIsNotKept(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	withFirstLevel(t, store)
	key, level := gateway.AnswerKey{1}, store.level.Load()
	changes := level.changes(key)
	answer := anAnswer("read") // as GET would give it here
	level.dropName(answerName(key))
	if level.keep(t.Context(), key, changes, answer) || near(store, key) {
		t.Error("an answer is near that was deleted")
	}
	if changes = level.changes(key); !level.keep(t.Context(), key, changes, answer) {
		t.Error("nothing is kept although nothing has changed")
	}
}

func TestNamesThatAreNoAnswersAreIgnored(t *testing.T) {
	level := new(level) // without a store: whatever reached it would panic
	for _, name := range []string{"", "cache:", answerPrefix, answerPrefix + "00", answerPrefix + strings.Repeat("x", 64), leaseName(gateway.AnswerKey{})} {
		level.dropName(name)
	}
}

func TestALostConnectionTakesTheFirstLevelWithIt(t *testing.T) {
	server := redistest.Start(t)
	for _, test := range []struct {
		name string
		kill func(w *watch) error
	}{
		{"that listens", func(*watch) error { return server.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err() }},
		{"that asked to be told", func(w *watch) error {
			id, err := w.writer.ClientID(t.Context()).Result()
			if err != nil {
				return err
			}
			return server.ClientKillByFilter(t.Context(), "ID", fmt.Sprint(id)).Err()
		}},
		{"all", func(*watch) error { return server.ClientKillByFilter(t.Context(), "SKIPME", "yes").Err() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := openCache(t, server.URL())
			withFirstLevel(t, store)
			key, level := gateway.AnswerKey{1}, store.level.Load()
			putAnswer(t, store, key, anAnswer("kept"))
			bringNear(t, store, key, "kept")
			if err := test.kill(level.watches.of(t.Context(), answerName(key))); err != nil {
				t.Fatalf("killing: %v", err)
			}
			// Nobody is told of this.
			if err := server.Del(t.Context(), answerName(key)).Err(); err != nil {
				t.Fatalf("deleting: %v", err)
			}
			within(t, forgottenWithin, "the answer to be forgotten", func() bool {
				answer, err := store.Answer(t.Context(), key)
				return answer == nil && err == nil
			})
			within(t, 3*time.Second, "another first level", func() bool {
				now := store.level.Load()
				return now != nil && now != level
			})
			if near(store, key) {
				t.Error("it is back")
			}
		})
	}
}

func TestAFirstLevelThatIsOverWritesNothing(t *testing.T) {
	server := redistest.Start(t)
	store := openCache(t, server.URL())
	withFirstLevel(t, store)
	level, name := store.level.Load(), answerName(gateway.AnswerKey{1})
	if err := store.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	// A put may have found the level just before.
	if quiet, err := level.set(t.Context(), name, []byte("value"), time.Hour); quiet || err != nil {
		t.Errorf("wrote: %v, error %v", quiet, err)
	}
}

func TestRedisThatIsRestartedEmptyIsEmptyForEveryGateway(t *testing.T) {
	server := redistest.Start(t)
	store := openCacheWithin(t, server.URL(), 200*time.Millisecond)
	withFirstLevel(t, store)
	key := gateway.AnswerKey{1}
	putAnswer(t, store, key, anAnswer("kept"))
	server.Kill()
	within(t, forgottenWithin, "the first level to be dropped", func() bool { return store.level.Load() == nil })
	if answer, err := store.Answer(t.Context(), key); answer != nil || err == nil {
		t.Errorf("found %v, error %v", answer, err)
	}
}

// A gateway that reads, puts and is told, all at once, never finds for longer than the bound what is not there any more.
func TestTheFirstLevelComesToAgreeWithRedisWhateverHappensAtOnce(t *testing.T) {
	server := redistest.Start(t)
	stores := []*Answers{openCache(t, server.URL()), openCache(t, server.URL()), openCache(t, server.URL())}
	withFirstLevel(t, stores...)
	const keys = 3
	var all sync.WaitGroup
	var number atomic.Int64
	for i, s := range stores {
		for range 4 {
			all.Go(func() {
				for n := range 200 {
					key := gateway.AnswerKey{byte(n % keys)}
					switch n % 7 {
					case 0:
						s.PutAnswer(t.Context(), key, anAnswer(fmt.Sprint(number.Add(1)))) //nolint:errcheck // under load it may
					case 3:
						if i == 0 {
							server.Del(t.Context(), answerName(key))
						}
					default:
						s.Answer(t.Context(), key) //nolint:errcheck
					}
				}
			})
		}
	}
	all.Wait()
	within(t, forgottenWithin, "all gateways to agree with Redis", func() bool {
		for key := range byte(keys) {
			key := gateway.AnswerKey{key}
			want := ""
			if frame, err := server.Get(t.Context(), answerName(key)).Bytes(); err == nil {
				answer, err := parseFrame(frame, key)
				if err != nil {
					t.Fatalf("parsing: %v", err)
				}
				want = string(answer.Body)
			}
			for _, s := range stores {
				if answer, err := s.Answer(t.Context(), key); err != nil || (answer == nil) != (want == "") || answer != nil && string(answer.Body) != want {
					return false
				}
			}
		}
		return true
	})
}

func TestWithoutTheRightToBeToldAGatewayAsksEachTimeAndSaysSoOnce(t *testing.T) {
	server := redistest.Start(t)
	if err := server.Do(t.Context(), "ACL", "SETUSER", "gw", "on", ">secret", "~cache:*", "resetchannels", "&cache:*", "+@all", "-client|tracking").Err(); err != nil {
		t.Fatalf("making a user: %v", err)
	}
	core, logs := observer.New(zap.WarnLevel)
	store := openCache(t, "redis://gw:secret@"+server.Address, func(a *Answers) { a.log = zap.New(core) })
	key := gateway.AnswerKey{1}
	putAnswer(t, store, key, anAnswer("kept"))
	within(t, 5*time.Second, "several attempts", func() bool { return server.Calls("client|id") >= 3 })
	if got := bodyOf(t, store, key); got != "kept" || store.level.Load() != nil {
		t.Errorf("found %q, with a first level: %v", got, store.level.Load() != nil)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d lines logged: %v", n, logs.All())
	}
}
