package cache

import (
	"context"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// traced puts a client's call under a recorded span.
func (cl *client) traced(traces *gatewaytest.Traces) *client {
	cl.request = traces.Request(cl.request)
	return cl
}

func mustHave(t *testing.T, span sdktrace.ReadOnlySpan, status codes.Code, want map[string]any) {
	t.Helper()
	if got := gatewaytest.Attributes(span); !maps.Equal(got, want) || span.Status() != (sdktrace.Status{Code: status}) {
		t.Errorf("%s has %v, status %v", span.Name(), got, span.Status())
	}
}

func cacheResult(result string) map[string]any {
	return map[string]any{"llm_gateway.cache.result": result}
}

func TestTheTraceTellsAHitFromAMiss(t *testing.T) {
	c := newCache(t, `{}`)
	for _, want := range []string{"miss", "hit"} {
		traces := gatewaytest.NewTraces(t)
		cl := newClient(t, c, alice, prompt).traced(traces).send(c, whole(completion))
		mustHave(t, traces.Span(cl.request, "llm_cache"), codes.Unset, cacheResult(want))
		if string(cl.call.Cache) != want || len(traces.Names()) != 1 {
			t.Errorf("the call is a %s, and its spans are %q", cl.call.Cache, traces.Names())
		}
	}
	traces := gatewaytest.NewTraces(t)
	if newClient(t, c, alice, prompt, "Cache-Control", "no-store").traced(traces).send(c, whole(completion)); len(traces.Names()) != 0 {
		t.Errorf("a call that is not looked up has spans %q", traces.Names())
	}
}

func TestAFollowersWaitLeadsToTheCallThatAsksUpstream(t *testing.T) {
	for name, tt := range map[string]struct {
		last   any
		status codes.Code
		want   map[string]any
	}{
		"an answer":  {done, codes.Unset, cacheResult("collapsed")},
		"no success": {dialect.Errorf(dialect.UpstreamFailed, "broke off"), codes.Error, map[string]any{"llm_gateway.cache.result": "collapsed", "error.type": "llm_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, `{}`)
				traces := gatewaytest.NewTraces(t)
				steps := make(chan any)
				leader := newClient(t, c, alice, streamed).traced(traces).begin(c, events(steps))
				follower := newClient(t, c, alice, prompt).traced(traces).begin(c, never(t))
				steps <- firstEvent
				time.Sleep(time.Second)
				steps <- tt.last
				<-leader.over
				<-follower.over
				mustHave(t, traces.Span(follower.request, "llm_cache"), codes.Unset, cacheResult("miss"))
				wait := traces.Span(follower.request, "llm_cache wait")
				mustHave(t, wait, tt.status, tt.want)
				if took := wait.EndTime().Sub(wait.StartTime()); took != time.Second {
					t.Errorf("the wait took %s", took)
				}
				links := wait.Links()
				if len(links) != 1 || !links[0].SpanContext.Equal(trace.SpanContextFromContext(leader.request.Context())) {
					t.Errorf("its links are %v", links)
				}
			})
		})
	}
}

func TestAFollowerOfAnUntracedCallHasNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{}`)
		traces := gatewaytest.NewTraces(t)
		steps := make(chan any)
		leader := newClient(t, c, alice, streamed).begin(c, events(steps))
		follower := newClient(t, c, alice, prompt).traced(traces).begin(c, never(t))
		steps <- done
		<-leader.over
		<-follower.over
		if links := traces.Span(follower.request, "llm_cache wait").Links(); len(links) != 0 {
			t.Errorf("its links are %v", links)
		}
	})
}

func TestTheTraceTellsThatAStaleAnswerWasServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{"ttl":"1m","stale_if_error":"1h"}`)
		newClient(t, c, alice, prompt).send(c, whole(completion))
		time.Sleep(2 * time.Minute)
		traces := gatewaytest.NewTraces(t)
		cl := newClient(t, c, alice, prompt).traced(traces).send(c, func(w http.ResponseWriter, r *http.Request) error {
			return gateway.CallFrom(r).Fail(w, r, dialect.Errorf(dialect.Unavailable, "nobody answers"))
		})
		if cl.Code != 200 || !slices.Equal(traces.Names(), []string{"llm_cache", "llm_cache"}) {
			t.Errorf("answered is %d, and the spans are %q", cl.Code, traces.Names())
		}
		results := make([]any, 0, 2)
		for _, span := range traces.All() {
			results = append(results, gatewaytest.Attributes(span)["llm_gateway.cache.result"])
		}
		if !slices.Equal(results, []any{"miss", "stale"}) {
			t.Errorf("the results are %v", results)
		}
	})
}

// busyLeaser is a store in which another gateway holds the lease until Await returns.
type busyLeaser struct{ keep func() }

func (*busyLeaser) Lease(context.Context, gateway.AnswerKey) (func(), bool, error) {
	return nil, false, nil
}
func (l *busyLeaser) Await(context.Context, gateway.AnswerKey) { l.keep() }

func TestTheTraceTellsOfTheWaitForAnotherGateway(t *testing.T) {
	c := newCache(t, `{}`)
	for want, keeps := range map[string]bool{"hit": true, "miss": false} {
		traces := gatewaytest.NewTraces(t)
		r := traces.Request(gatewaytest.Request(httptest.NewRecorder(), http.MethodPost, chatPath, strings.NewReader(prompt)))
		key := gateway.AnswerKey(sha256.Sum256([]byte(t.Name() + want)))
		other := &busyLeaser{keep: func() {
			if keeps {
				c.app.Answers().PutAnswer(t.Context(), key, &gateway.Answer{Created: time.Now(), Expires: time.Now().Add(time.Hour)}) //nolint:errcheck // memory
			}
		}}
		if answer := c.await(r.Context(), other, key, parseControl(nil)); (answer != nil) != keeps {
			t.Errorf("the answer is %v", answer)
		}
		mustHave(t, traces.Span(r, "llm_cache wait"), codes.Unset, cacheResult(want))
	}
}

func TestAnUntracedLookAllocatesNothingForIt(t *testing.T) {
	c := newCache(t, `{}`)
	r := gatewaytest.Request(httptest.NewRecorder(), http.MethodPost, chatPath, nil)
	asked := parseControl(nil)
	call := new(gateway.Call)
	plain := testing.AllocsPerRun(100, func() { c.find(r.Context(), call, gateway.AnswerKey{}, asked) })
	if n := testing.AllocsPerRun(100, func() { c.look(r.Context(), call, gateway.AnswerKey{}, asked) }); n != plain {
		t.Errorf("with its span it allocates %v times, without %v", n, plain)
	}
	f := new(flight)
	if n := testing.AllocsPerRun(100, func() { endWait(startWait(r.Context(), f), new(gateway.Call), true) }); n != 0 {
		t.Errorf("a wait allocates %v times for its span", n)
	}
}
