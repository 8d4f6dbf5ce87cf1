package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// awayKeys is a key store that others change, and that this gateway can reach or not.
type awayKeys struct {
	*fakeKeys

	late func() // called as a question times out

	mu   sync.Mutex
	mode reach
}

// reach says what becomes of a question to a store.
type reach string

const (
	answering reach = "answers"
	refusing  reach = "refuses"
	hanging   reach = "hangs"
	late      reach = "times out"
)

func (s *awayKeys) become(mode reach) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *awayKeys) KeyByHash(ctx context.Context, hash KeyHash, now time.Time) (*Key, error) {
	s.mu.Lock()
	mode := s.mode
	s.mu.Unlock()
	switch mode {
	case refusing:
		return nil, errBroken
	case late:
		s.late()
		return nil, context.DeadlineExceeded
	case hanging:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.fakeKeys.KeyByHash(ctx, hash, now)
}

// follower is a keyring with a feed that the test tells what to say.
type follower struct {
	*Keyring
	store *awayKeys
	feed  *fakeFeed
	logs  *observer.ObservedLogs
	end   func()
}

func newFollower(ctx context.Context) *follower {
	core, logs := observer.New(zap.InfoLevel)
	f := &follower{
		store: &awayKeys{fakeKeys: newFakeKeys(), mode: answering},
		feed:  &fakeFeed{ready: make(chan struct{})},
		logs:  logs,
	}
	f.Keyring = NewKeyring(f.store, "", zap.New(core))
	ctx, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		f.follow(ctx, f.feed)
	}()
	<-f.feed.ready
	f.end = func() { stop(); <-over }
	return f
}

// knownKey makes a key that the keyring has read, and a way to look for it again.
func (f *follower) knownKey(t *testing.T) (id string, find func() error) {
	t.Helper()
	id, secret := f.createElsewhere(t.Context())
	find = func() error { _, err := f.Find(t.Context(), secret); return err }
	if err := find(); err != nil {
		t.Fatal(err)
	}
	return id, find
}

// createElsewhere makes a key without this keyring's knowledge.
func (f *follower) createElsewhere(ctx context.Context) (id, secret string) {
	id, secret = NewKeyID(), NewSecret(KeyPrefix)
	key := &Key{ID: id, Name: "0", Active: true, Created: time.Now()}
	if err := f.store.CreateKey(ctx, key, HashKey(secret)); err != nil {
		panic(err) // the fake store takes every new key
	}
	return id, secret
}

func (f *follower) revokeElsewhere(ctx context.Context, id string) {
	if _, err := f.store.UpdateKey(ctx, id, KeyChange{Active: new(false)}); err != nil {
		panic(err)
	}
}

func TestAKeyThatWasNotUsedBetweenTwoLossesGoesOnWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer f.end()
		f.feed.Reset()
		_, find := f.knownKey(t)
		for range 3 {
			f.store.become(refusing)
			f.feed.Lost(errBroken)
			time.Sleep(time.Hour)
			f.store.become(answering)
			f.feed.Reset()
		}
		f.store.become(refusing)
		f.feed.Lost(errBroken)
		time.Sleep(time.Hour)
		for range 3 {
			if err := find(); err != nil {
				t.Errorf("a known key got %v", err)
			}
		}
		if told := f.logs.FilterMessageSnippet("as they were last known").Len(); told != 1 {
			t.Errorf("the log says %d times that keys are taken as they were last known", told)
		}
		f.store.become(answering)
		f.feed.Reset()
		for range 3 {
			if err := find(); err != nil {
				t.Error(err)
			}
		}
		if told := f.logs.FilterMessageSnippet("the key store answers").Len(); told != 1 {
			t.Errorf("the log says %d times that the store answers", told)
		}
	})
}

func TestWhatBecameOfAKeyDuringALossHoldsAsTheFeedReturns(t *testing.T) {
	for name, change := range map[string]func(f *follower, id string) error{
		"revoked": func(f *follower, id string) error {
			_, err := f.store.UpdateKey(context.Background(), id, KeyChange{Active: new(false)})
			return err
		},
		"deleted": func(f *follower, id string) error { return f.store.DeleteKey(context.Background(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFollower(t.Context())
				defer f.end()
				f.feed.Reset()
				id, secret := f.createElsewhere(t.Context())
				find := func() error { _, err := f.Find(t.Context(), secret); return err }
				if err := find(); err != nil {
					t.Fatal(err)
				}
				f.store.become(refusing)
				f.feed.Lost(errBroken)
				if err := change(f, id); err != nil {
					t.Fatal(err)
				}
				time.Sleep(confirmEvery)
				if err := find(); err != nil {
					t.Errorf("while the store was away the key got %v", err)
				}
				f.store.become(answering)
				f.feed.Reset()
				if err := find(); !errors.Is(err, ErrKeyNotFound) {
					t.Errorf("the key got %v", err)
				}
				f.store.become(refusing)
				f.feed.Lost(errBroken)
				time.Sleep(time.Second)
				if err := find(); err == nil {
					t.Error("the key works again as the store is away again")
				}
			})
		})
	}
}

func TestALookupThatHangsDoesNotSpeakForTheTimeAfterTheFeedReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer time.Sleep(lookupTimeout) // a lookup that hangs ends, too
		defer f.end()
		f.feed.Reset()
		id, find := f.knownKey(t)
		f.store.become(hanging)
		f.feed.Lost(errBroken)
		f.revokeElsewhere(t.Context(), id)
		time.Sleep(time.Second)

		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := find(); err != nil {
				t.Errorf("a known key got %v while the store hung", err)
			}
		})
		synctest.Wait()
		f.store.become(answering)
		f.feed.Reset()
		if err := find(); !errors.Is(err, ErrKeyNotFound) {
			t.Errorf("the revoked key got %v", err)
		}
		waiting.Wait()
		if err := find(); !errors.Is(err, ErrKeyNotFound) {
			t.Errorf("the revoked key got %v after the lookup that hung", err)
		}
	})
}

func TestWhatAStoreSaysThatAnswersAgainHoldsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer time.Sleep(lookupTimeout) // a lookup that hangs ends, too
		defer f.end()
		f.feed.Reset()
		id, find := f.knownKey(t)
		f.store.become(hanging)
		f.feed.Lost(errBroken)
		f.revokeElsewhere(t.Context(), id)
		f.feed.Reset()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := find(); err != nil {
				t.Errorf("a known key got %v while the store hung", err)
			}
		})
		synctest.Wait()
		f.store.become(answering) // while the first lookup still hangs
		time.Sleep(time.Second)
		if err := find(); !errors.Is(err, ErrKeyNotFound) {
			t.Errorf("the revoked key got %v", err)
		}
		waiting.Wait()
	})
}

func TestAKeyThatIsKnownToHaveChangedIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer f.end()
		f.feed.Reset()
		id, secret := f.createElsewhere(t.Context())
		if _, err := f.Find(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		f.revokeElsewhere(t.Context(), id)
		f.feed.Key(id)
		f.store.become(refusing)
		f.feed.Lost(errBroken)
		if _, err := f.Find(t.Context(), secret); !errors.Is(err, errBroken) {
			t.Errorf("the revoked key got %v", err)
		}
	})
}

func TestAStoreThatHangsHoldsUpOneCallAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer time.Sleep(lookupTimeout) // lookups that hang end, too
		defer f.end()
		f.feed.Reset()
		var secrets []string
		for range 20 {
			_, secret := f.createElsewhere(t.Context())
			secrets = append(secrets, secret)
			if _, err := f.Find(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		f.store.become(hanging)
		f.feed.Lost(errBroken)
		time.Sleep(confirmEvery)
		f.Find(t.Context(), secrets[0]) //nolint:errcheck // finds out that the store hangs
		time.Sleep(confirmEvery)

		var slow int
		var mu sync.Mutex
		var calls sync.WaitGroup
		for _, secret := range secrets {
			calls.Go(func() {
				began := time.Now()
				if _, err := f.Find(t.Context(), secret); err != nil {
					t.Errorf("a known key got %v", err)
				}
				if took := time.Since(began); took > 0 {
					mu.Lock()
					slow++
					mu.Unlock()
					if took > confirmTimeout {
						t.Errorf("a call waited for %s", took)
					}
				}
			})
		}
		calls.Wait()
		if slow != 1 {
			t.Errorf("%d calls waited, want one", slow)
		}
	})
}

func TestWhatWasLastKnownHoldsForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t.Context())
		defer f.end()
		f.feed.Reset()
		_, find := f.knownKey(t)
		time.Sleep(48 * time.Hour) // no reason to doubt
		f.store.become(refusing)
		f.feed.Lost(errBroken)
		time.Sleep(believedFor - 1)
		if err := find(); err != nil {
			t.Errorf("a moment before the day is over: %v", err)
		}
		time.Sleep(1)
		if err := find(); !errors.Is(err, errBroken) {
			t.Errorf("after a day the key got %v", err)
		}
		f.store.become(answering)
		if err := find(); err != nil {
			t.Errorf("once the store answers: %v", err)
		}
	})
}
