package cache

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// held is a next handler that answers once it is let go, and counts how often it was asked.
type held struct {
	asked   atomic.Int32
	proceed chan struct{}
	ended   chan error // how the context of a call ended that was given up
	then    caddyhttp.HandlerFunc
}

func hold(then caddyhttp.HandlerFunc) *held {
	return &held{proceed: make(chan struct{}), ended: make(chan error, 1), then: then}
}

func (h *held) serve(w http.ResponseWriter, r *http.Request) error {
	h.asked.Add(1)
	select {
	case <-h.proceed:
		return h.then(w, r)
	case <-r.Context().Done():
		h.ended <- context.Cause(r.Context())
		return gateway.CallFrom(r).Fail(w, r, r.Context().Err())
	}
}

// begin starts a call, and returns once it waits.
func (cl *client) begin(c *Cache, next caddyhttp.HandlerFunc) *client {
	go cl.send(c, next)
	synctest.Wait()
	return cl
}

func TestIdenticalCallsInProgressAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		next := hold(whole(completion))
		clients := make([]*client, 1000)
		for i := range clients {
			body := prompt
			if i%2 == 1 {
				body = strings.Replace(prompt, `"temperature":0,`, ` "user":"somebody", "temperature" : 0,`, 1)
			}
			clients[i] = newClient(t, c, alice, body)
			go clients[i].send(c, next.serve)
		}
		synctest.Wait()
		close(next.proceed)
		misses := 0
		for i, cl := range clients {
			<-cl.over
			if cl.Code != http.StatusOK || cl.Body.String() != string(completion) {
				t.Fatalf("call %d was answered %d %s", i, cl.Code, cl.Body)
			}
			if cl.call.Cache == gateway.CacheMiss {
				misses++
			} else if cl.call.Cache != gateway.CacheCollapsed || cl.Header().Get("X-Cache") != "HIT" {
				t.Fatalf("call %d took part as %q, X-Cache %q", i, cl.call.Cache, cl.Header().Get("X-Cache"))
			}
		}
		if n := next.asked.Load(); n != 1 || misses != 1 {
			t.Errorf("upstream was asked %d times, and %d calls say so", n, misses)
		}
		again := newClient(t, c, alice, prompt).send(c, never(t))
		if again.call.Cache != gateway.CacheHit {
			t.Errorf("a later call took part as %q", again.call.Cache)
		}
	})
}

func TestACallThatMissesWhileAFlightLandsDoesNotAskAgain(t *testing.T) {
	c := cacheWith(t, `{}`, `"store":{"module":"fake"}`)
	store := c.app.Store().(*fakeStore)
	store.missed = func() { // the first call has found nothing; before it goes on, another comes, asks and ends
		store.missed = nil
		newClient(t, c, alice, prompt).send(c, whole(completion))
	}
	cl := newClient(t, c, alice, prompt).send(c, never(t))
	if cl.Body.String() != string(completion) || cl.call.Cache != gateway.CacheHit {
		t.Errorf("the call took part as %q and was answered %d %s", cl.call.Cache, cl.Code, cl.Body)
	}
	if len(c.flights.byKey) != 0 {
		t.Errorf("%d flights are left", len(c.flights.byKey))
	}
}

func TestDifferentCallsDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		next := hold(whole(completion))
		others := []*client{
			newClient(t, c, alice, prompt).begin(c, next.serve),
			newClient(t, c, &gateway.Key{ID: "key_bob", Active: true}, prompt).begin(c, next.serve),
			newClient(t, c, alice, strings.Replace(prompt, "ping", "pong", 1)).begin(c, next.serve),
		}
		if n := next.asked.Load(); n != 3 {
			t.Errorf("upstream was asked %d times, want 3", n)
		}
		close(next.proceed)
		for _, cl := range others {
			<-cl.over
		}
	})
}

func TestOthersGetTheAnswerOfALeaderWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		next := hold(whole(completion))
		leader := newClient(t, c, alice, prompt).begin(c, next.serve)
		follower := newClient(t, c, alice, prompt).begin(c, never(t))
		leader.leave()
		synctest.Wait()
		late := newClient(t, c, alice, prompt).begin(c, never(t))
		close(next.proceed)
		for _, cl := range []*client{follower, late} {
			if <-cl.over; cl.Body.String() != string(completion) {
				t.Errorf("a call was answered %d %s", cl.Code, cl.Body)
			}
		}
		<-leader.over
	})
}

func TestACallThatEverybodyLeftIsEndedUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		next := hold(nil)
		leader := newClient(t, c, alice, prompt).begin(c, next.serve)
		follower := newClient(t, c, alice, prompt).begin(c, never(t))
		leader.leave()
		synctest.Wait()
		select {
		case <-next.ended:
			t.Fatal("the call ended while somebody waited")
		default:
		}
		follower.leave()
		if cause := <-next.ended; cause != errEverybodyLeft {
			t.Errorf("the call upstream ended with %v", cause)
		}
		<-leader.over
		<-follower.over
		if follower.call.Status != 499 {
			t.Errorf("a client who left counts as %d", follower.call.Status)
		}

		// Who comes now begins anew.
		next = hold(whole(completion))
		close(next.proceed)
		if cl := newClient(t, c, alice, prompt).send(c, next.serve); cl.Code != http.StatusOK {
			t.Errorf("the next call was answered %d", cl.Code)
		}
	})
}

func TestWhoComesBetweenTheLastOneLeavingAndTheEndBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		ending := make(chan struct{})
		leader := newClient(t, c, alice, prompt).begin(c, func(w http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			<-ending
			return gateway.CallFrom(r).Fail(w, r, r.Context().Err())
		})
		leader.leave()
		synctest.Wait()
		next := hold(whole(completion))
		second := newClient(t, c, alice, prompt).begin(c, next.serve)
		close(ending)
		<-leader.over
		third := newClient(t, c, alice, prompt).begin(c, never(t)) // the first flight's end took nothing of the second
		close(next.proceed)
		for _, cl := range []*client{second, third} {
			if <-cl.over; cl.Code != http.StatusOK {
				t.Errorf("a call was answered %d", cl.Code)
			}
		}
	})
}

func TestALeadersFailureIsEverybodys(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			body := prompt
			if stream {
				body = streamed
			}
			c := newCache(t, `{}`)
			failure := &dialect.Error{Kind: dialect.Unavailable, Message: "the provider cannot be reached"}
			next := hold(func(w http.ResponseWriter, r *http.Request) error { return gateway.CallFrom(r).Fail(w, r, failure) })
			clients := []*client{newClient(t, c, alice, body).begin(c, next.serve)}
			for range 5 {
				clients = append(clients, newClient(t, c, alice, body).begin(c, never(t)))
			}
			close(next.proceed)
			for i, cl := range clients {
				if <-cl.over; cl.Code != http.StatusServiceUnavailable || !strings.Contains(cl.Body.String(), failure.Message) {
					t.Errorf("stream %t: call %d was answered %d %s", stream, i, cl.Code, cl.Body)
				}
			}
			if cl := newClient(t, c, alice, body).send(c, whole(completion)); cl.Code != http.StatusOK {
				t.Errorf("stream %t: the failure was kept: %d", stream, cl.Code)
			}
		})
	}
}

func TestNobodyHangsWhereALeaderPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		next := hold(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
		leader := newClient(t, c, alice, prompt)
		go func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			leader.send(c, next.serve)
		}()
		synctest.Wait()
		followers := make([]*client, 3)
		for i := range followers {
			followers[i] = newClient(t, c, alice, prompt).begin(c, whole(completion))
		}
		close(next.proceed)
		<-leader.over
		for _, cl := range followers {
			if <-cl.over; cl.Code != http.StatusOK {
				t.Errorf("a call that waited was answered %d", cl.Code)
			}
		}
		if len(c.flights.byKey) != 0 {
			t.Errorf("%d flights are left", len(c.flights.byKey))
		}
	})
}

func TestWhereAnAnswerCannotBeSharedAllGoOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		unfinished := []byte(strings.Replace(string(completion), `"stop"`, `null`, 1))
		next := hold(whole(unfinished))
		leader := newClient(t, c, alice, prompt).begin(c, next.serve)
		own := hold(whole(unfinished))
		followers := make([]*client, 5)
		for i := range followers {
			followers[i] = newClient(t, c, alice, prompt).begin(c, own.serve)
		}
		close(next.proceed)
		<-leader.over
		synctest.Wait()
		if n := own.asked.Load(); n != 5 {
			t.Errorf("%d of 5 calls are upstream", n)
		}
		close(own.proceed)
		for _, cl := range followers {
			if <-cl.over; cl.Body.String() != string(unfinished) {
				t.Errorf("a call was answered %d %s", cl.Code, cl.Body)
			}
		}
	})
}
