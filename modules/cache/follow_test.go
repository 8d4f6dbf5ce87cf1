package cache

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	firstEvent  = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{"role":"assistant","content":"pong"},"finish_reason":null}]}` + "\n\n"
	secondEvent = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
)

func TestAFollowerGetsEventsAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		early := newClient(t, c, alice, streamed).begin(c, never(t))
		steps <- firstEvent
		synctest.Wait()
		late := newClient(t, c, alice, streamed).begin(c, never(t))
		for name, cl := range map[string]*client{"leader": leader, "early": early, "late": late} {
			if cl.Body.String() != firstEvent || !cl.Flushed {
				t.Errorf("%s: after the first event there is %q, flushed %t", name, cl.Body, cl.Flushed)
			}
		}
		if h := early.Header(); h.Get("Content-Type") != "text/event-stream" || h.Get("X-Llm-Provider") != "demo" || h.Get("X-Cache") != "HIT" {
			t.Errorf("the follower's headers are %v", h)
		}
		steps <- secondEvent
		steps <- done
		for name, cl := range map[string]*client{"leader": leader, "early": early, "late": late} {
			if <-cl.over; cl.Body.String() != firstEvent+secondEvent+done {
				t.Errorf("%s got %q", name, cl.Body)
			}
		}
	})
}

func TestAStreamGoesOnWithoutItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		follower := newClient(t, c, alice, streamed).begin(c, never(t))
		steps <- firstEvent
		synctest.Wait()
		leader.leave()
		steps <- secondEvent
		steps <- done
		if <-follower.over; follower.Body.String() != firstEvent+secondEvent+done {
			t.Errorf("the follower got %q", follower.Body)
		}
		if <-leader.over; leader.Body.String() != firstEvent {
			t.Errorf("the leader got %q after it left", leader.Body)
		}
	})
}

func TestAStreamEndsWithItsLastClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		steps <- firstEvent
		synctest.Wait()
		leader.leave()
		<-leader.over
	})
}

func TestAFollowerOfTheOtherFormGetsItsOwn(t *testing.T) {
	t.Run("whole behind a stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t, `{}`)
			steps := make(chan any)
			leader := newClient(t, c, alice, streamed).begin(c, events(steps))
			follower := newClient(t, c, alice, prompt).begin(c, never(t))
			steps <- firstEvent
			steps <- secondEvent
			steps <- done
			<-leader.over
			if <-follower.over; follower.Body.String() != string(completion) || follower.Header().Get("Content-Type") != "application/json" {
				t.Errorf("the follower got %q as %s", follower.Body, follower.Header().Get("Content-Type"))
			}
		})
	})
	t.Run("stream behind a whole", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t, `{}`)
			next := hold(whole(completion))
			leader := newClient(t, c, alice, prompt).begin(c, next.serve)
			follower := newClient(t, c, alice, streamed).begin(c, never(t))
			close(next.proceed)
			<-leader.over
			<-follower.over
			mustStream(t, follower, false)
		})
	})
	t.Run("usage event behind a stream without", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t, `{}`)
			steps := make(chan any)
			leader := newClient(t, c, alice, streamed).begin(c, events(steps))
			follower := newClient(t, c, alice, withUsage).begin(c, never(t))
			steps <- firstEvent
			steps <- secondEvent
			steps <- done
			<-leader.over
			<-follower.over
			mustStream(t, follower, true)
		})
	})
}

var withUsage = strings.Replace(streamed, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)

// mustStream fails the test where a client did not get the completion as a whole stream.
func mustStream(t *testing.T, cl *client, usage bool) {
	t.Helper()
	body := cl.Body.String()
	if cl.Header().Get("Content-Type") != "text/event-stream" || !strings.HasSuffix(body, done) || strings.Count(body, "data: ") < 3 {
		t.Fatalf("the answer is no stream: %q", body)
	}
	if strings.Contains(body, `"prompt_tokens":3`) != usage {
		t.Errorf("usage asked for: %t, but the stream is %q", usage, body)
	}
}

func TestABrokenStreamIsBrokenForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		live := newClient(t, c, alice, streamed).begin(c, never(t))
		other := newClient(t, c, alice, prompt).begin(c, never(t))
		steps <- firstEvent
		synctest.Wait()
		steps <- &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the answer broke off"}
		<-leader.over
		if <-live.over; !strings.Contains(live.Body.String(), "the answer broke off") || strings.Contains(live.Body.String(), "[DONE]") {
			t.Errorf("who followed the stream got %q", live.Body)
		}
		if <-other.over; other.Code != http.StatusBadGateway || !strings.Contains(other.Body.String(), "the answer broke off") {
			t.Errorf("who waited for the whole got %d %s", other.Code, other.Body)
		}
		if cl := newClient(t, c, alice, prompt).send(c, whole(completion)); cl.call.Cache != gateway.CacheMiss {
			t.Errorf("half an answer was kept: %q", cl.call.Cache)
		}
	})
}

func TestAFollowerWhoLeavesLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		follower := newClient(t, c, alice, streamed).begin(c, never(t))
		steps <- firstEvent
		synctest.Wait()
		follower.leave()
		<-follower.over
		steps <- secondEvent
		steps <- done
		if <-leader.over; leader.Body.String() != firstEvent+secondEvent+done {
			t.Errorf("the leader got %q", leader.Body)
		}
	})
}

func TestAStreamTooLongToShareIsWholeForItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{"max_entry":64}`) // eight times that is shared
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		follower := newClient(t, c, alice, streamed).begin(c, never(t))
		long := strings.Replace(firstEvent, "pong", strings.Repeat("pong", 100), 1)
		steps <- firstEvent
		synctest.Wait()
		steps <- long
		if <-follower.over; !strings.HasPrefix(follower.Body.String(), firstEvent) || !strings.Contains(follower.Body.String(), "too long") {
			t.Errorf("the follower got %q", follower.Body)
		}
		steps <- done
		if <-leader.over; leader.Body.String() != firstEvent+long+done {
			t.Errorf("the leader got %q", leader.Body)
		}
	})
}
