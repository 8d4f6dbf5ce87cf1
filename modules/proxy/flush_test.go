package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// batches is a stream whose events come in batches: it waits before the first event of each but the first.
type batches struct {
	events
	sizes  []int
	onWait func()
	waited []int // the numbers of the events before which it has waited
}

func (b *batches) OnWait(f func()) bool {
	b.onWait = f
	return true
}

func (b *batches) Next() bool {
	start := 0
	for _, size := range b.sizes {
		if start == b.at && start > 0 {
			b.onWait()
			b.waited = append(b.waited, b.at)
		}
		start += size
	}
	return b.events.Next()
}

// client notes how much it had at each flush.
type client struct {
	*httptest.ResponseRecorder
	writes []int // bytes of each
	had    []int // events, at each flush
	err    error // of flushing
}

func (c *client) Write(p []byte) (int, error) {
	c.writes = append(c.writes, len(p))
	return c.ResponseRecorder.Write(p)
}

func (c *client) FlushError() error {
	c.had = append(c.had, strings.Count(c.Body.String(), "data: "))
	return c.err
}

func relayed(t testing.TB, s gateway.Stream, c *client) *gateway.Call {
	t.Helper()
	p, a, _ := newProxy(t)
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return &gateway.Reply{Stream: s}, nil }
	r := gatewaytest.Request(c, http.MethodPost, "/v1/chat/completions", strings.NewReader(streamed))
	call := p.app.Enter(c, r)
	defer call.Leave()
	if err := p.ServeHTTP(c, r, nil); err != nil {
		t.Fatal(err)
	}
	return call
}

// Nothing is held back while the stream waits, and nothing is flushed alone that has come with others.
func TestEventsThatCameTogetherLeaveTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &batches{sizes: rapid.SliceOfN(rapid.IntRange(1, 4), 1, 5).Draw(rt, "batches")}
		for _, size := range s.sizes {
			for range size {
				s.data = append(s.data, first)
			}
		}
		s.data[len(s.data)-1] = "[DONE]"
		c := &client{ResponseRecorder: httptest.NewRecorder()}
		relayed(t, s, c)
		if len(c.had) != len(s.waited) {
			rt.Fatalf("flushed %d times, waited %d times", len(c.had), len(s.waited))
		}
		for i, n := range s.waited {
			if c.had[i] != n {
				rt.Fatalf("before event %d the client has had %d events", n, c.had[i])
			}
		}
		if len(c.writes) != len(s.sizes) {
			rt.Fatalf("%d batches were written in %d parts", len(s.sizes), len(c.writes))
		}
		if got := strings.Count(c.Body.String(), "data: "); got != len(s.data) {
			rt.Fatalf("the client got %d of %d events", got, len(s.data))
		}
	})
}

func TestABatchIsWrittenBeforeItGrowsTooLarge(t *testing.T) {
	event := strings.Replace(first, "pong", strings.Repeat("pong", maxBatch/16), 1)
	s := &batches{sizes: []int{40}}
	for range 39 {
		s.data = append(s.data, event)
	}
	s.data = append(s.data, "[DONE]")
	c := &client{ResponseRecorder: httptest.NewRecorder()}
	relayed(t, s, c)
	for _, n := range c.writes {
		if n > maxBatch+len(event)+len("data: \n\n") {
			t.Errorf("%d bytes were written at once", n)
		}
	}
	if got := strings.Count(c.Body.String(), event); got != 39 {
		t.Errorf("the client got %d of 39 events", got)
	}
}

func TestEventsOfAStreamThatDoesNotTellWhenItWaitsLeaveAlone(t *testing.T) {
	c := &client{ResponseRecorder: httptest.NewRecorder()}
	relayed(t, &events{data: []string{first, second, "[DONE]"}}, c)
	if len(c.had) != 3 || c.had[0] != 1 || c.had[2] != 3 {
		t.Errorf("at its flushes the client has had %v events", c.had)
	}
}

func TestTranslatedAndTracedStreamsTellWhenTheirProviderWaits(t *testing.T) {
	calls := 0
	for name, wrap := range map[string]func(gateway.Stream) gateway.Stream{
		"translated": func(s gateway.Stream) gateway.Stream { return newTranslatedStream(s, nil, nil) },
		"traced":     func(s gateway.Stream) gateway.Stream { return &tracedStream{Stream: s} },
	} {
		inner := new(batches)
		if !gateway.OnWait(wrap(inner), func() { calls++ }) {
			t.Errorf("a %s stream does not tell", name)
			continue
		}
		inner.onWait()
		if gateway.OnWait(wrap(new(events)), func() {}) {
			t.Errorf("a %s stream of one that cannot tell says that it can", name)
		}
	}
	if calls != 2 {
		t.Errorf("%d of 2 have told", calls)
	}
}

func TestAClientThatCannotBeFlushedToEndsTheStream(t *testing.T) {
	s := &batches{sizes: []int{1, 1, 1}, events: events{data: []string{first, first, "[DONE]"}}}
	c := &client{ResponseRecorder: httptest.NewRecorder(), err: errors.New("connection reset")}
	call := relayed(t, s, c)
	if !errors.Is(call.Err, context.Canceled) || !s.closed || len(s.waited) != 1 {
		t.Errorf("the call ended with %v, closed %t, after %d waits", call.Err, s.closed, len(s.waited))
	}
}
