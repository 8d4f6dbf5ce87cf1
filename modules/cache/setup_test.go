package cache

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(fakeStore))
	goleak.VerifyTestMain(m)
}

const (
	chatPath = "/v1/chat/completions"
	prompt   = `{"model":"demo","temperature":0,"messages":[{"role":"user","content":"ping"}]}`
	streamed = `{"model":"demo","temperature":0,"stream":true,"messages":[{"role":"user","content":"ping"}]}`
)

// completion is a whole answer, as a provider gives it.
var completion = []byte(`{"id":"c1","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"pong, and pong again"},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)

// Tests of calls that meet each other run in a bubble of testing/synctest: synctest.Wait returns when every call waits
// for something, and a call that nothing could end fails the test.

// newCache makes a cache in a gateway of its own.
func newCache(t testing.TB, config string) *Cache {
	t.Helper()
	return gatewaytest.Handler(t, gatewaytest.Context(t, ""), "llm_cache", config).(*Cache)
}

// alice is who calls where a test does not say otherwise.
var alice = &gateway.Key{ID: "key_alice", Active: true}

// client is one call in progress.
type client struct {
	*httptest.ResponseRecorder
	request *http.Request
	leave   context.CancelFunc
	over    chan struct{}
	call    *gateway.Call
	err     error
	wrote   chan string // what was written, where somebody listens
	broken  bool        // the connection is gone
}

func (c *client) Write(p []byte) (int, error) {
	if c.broken && c.request.Context().Err() != nil {
		return 0, context.Canceled
	}
	n, err := c.ResponseRecorder.Write(p)
	if c.wrote != nil {
		c.wrote <- string(p)
	}
	return n, err
}

// newClient prepares a call by a key; nil is nobody.
func newClient(t testing.TB, c *Cache, key *gateway.Key, body string, headers ...string) *client {
	t.Helper()
	cl := &client{ResponseRecorder: httptest.NewRecorder(), over: make(chan struct{}), broken: true}
	cl.request = gatewaytest.Request(cl, http.MethodPost, chatPath, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		cl.request.Header.Add(headers[i], headers[i+1])
	}
	ctx, leave := context.WithCancel(cl.request.Context())
	t.Cleanup(leave)
	cl.request, cl.leave = cl.request.WithContext(ctx), leave
	cl.call = c.app.Enter(cl, cl.request)
	cl.call.Key = key
	return cl
}

// send makes the call and waits for its end.
func (cl *client) send(c *Cache, next caddyhttp.HandlerFunc) *client {
	defer close(cl.over)
	defer cl.call.Leave()
	cl.err = c.ServeHTTP(cl, cl.request, next)
	return cl
}

func answerOf(call *gateway.Call, body []byte) *gateway.Answer {
	return &gateway.Answer{Provider: "demo", Model: "demo", Body: body, Created: time.Now(), Usage: call.Usage}
}

// whole answers with one body at once.
func whole(body []byte) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		call := gateway.CallFrom(r)
		answer := answerOf(call, body)
		if call.Record != nil && openai.Complete(body) == nil {
			call.Record.Whole(answer)
		}
		if call.Stream {
			return call.ServeAnswerStream(w, answer)
		}
		return call.ServeAnswer(w, answer)
	}
}

// events answers with the events that come, and with a whole answer for the record before [DONE]. An error instead of an
// event breaks the stream off.
func events(steps <-chan any) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		call := gateway.CallFrom(r)
		flush := http.NewResponseController(w)
		begun := false
		for {
			var step any
			select {
			case step = <-steps:
			case <-r.Context().Done():
				return call.Fail(w, r, r.Context().Err())
			}
			if failure, ok := step.(*dialect.Error); ok {
				call.Err = failure
				call.BreakStream(w, failure) // as the proxy does
				return nil
			}
			event := step.(string)
			if !begun {
				begun = true
				call.Provider, call.Upstream = "demo", "demo"
				call.BeginStream(w)
			}
			if event == done {
				call.Record.Whole(answerOf(call, completion))
			}
			call.Record.Event([]byte(event))
			if _, err := w.Write([]byte(event)); err != nil {
				return nil
			}
			if err := flush.Flush(); err != nil {
				return nil
			}
			if event == done {
				return nil
			}
		}
	}
}

const done = "data: [DONE]\n\n"

// never is a next handler that must not be asked.
func never(t testing.TB) caddyhttp.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) error {
		t.Error("the call went upstream")
		return nil
	}
}

// fakeStore keeps answers for as long as the test runs, where it is not broken.
type fakeStore struct {
	gateway.AnswerStore
	Broken bool `json:"broken"`

	answers sync.Map
	missed  func() // called where there is no answer
}

func (*fakeStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.fake", New: func() caddy.Module { return new(fakeStore) }}
}
func (s *fakeStore) Answers() gateway.AnswerStore { return s }
func (*fakeStore) Limiter() gateway.Limiter       { return nil }
func (*fakeStore) Ping(context.Context) error     { return nil }
func (*fakeStore) Release() error                 { return nil }

func (s *fakeStore) Answer(_ context.Context, key gateway.AnswerKey) (*gateway.Answer, error) {
	if s.Broken {
		return nil, errors.ErrUnsupported
	}
	if answer, ok := s.answers.Load(key); ok {
		return answer.(*gateway.Answer), nil
	}
	if s.missed != nil {
		s.missed()
	}
	return nil, nil
}

func (s *fakeStore) PutAnswer(_ context.Context, key gateway.AnswerKey, answer *gateway.Answer) error {
	if s.Broken {
		return errors.ErrUnsupported
	}
	s.answers.Store(key, answer)
	return nil
}
