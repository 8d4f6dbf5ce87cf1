package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// events is a stream of the given data, each in an event, that ends in an error where one is given.
type events struct {
	data   []string
	err    error
	at     int
	before func(i int) // called before an event comes
	closed bool
}

func (s *events) Next() bool {
	if s.before != nil {
		s.before(s.at)
	}
	s.at++
	return s.at <= len(s.data)
}
func (s *events) Event() []byte        { return []byte("data: " + s.data[s.at-1] + "\n\n") }
func (s *events) Data() []byte         { return []byte(s.data[s.at-1]) }
func (s *events) Last() bool           { return s.data[s.at-1] == "[DONE]" }
func (s *events) Usage() dialect.Usage { return dialect.Usage{Input: 3, Output: 2} }
func (s *events) Err() error           { return s.err }
func (s *events) Close() error {
	s.closed = true
	return nil
}

const (
	first  = `{"choices":[{"index":0,"delta":{"role":"assistant","content":"pong"},"finish_reason":null}]}`
	second = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
)

var streamed = strings.Replace(question, `"messages"`, `"stream":true,"messages"`, 1)

func TestEventsPassAsTheyComeAndTheAnswerIsKeptBeforeTheLast(t *testing.T) {
	p, a, _ := newProxy(t)
	s := &events{data: []string{first, second, "[DONE]"}}
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return &gateway.Reply{Stream: s}, nil }
	var kept *gateway.Answer
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(streamed))
	call := p.app.Enter(w, r)
	defer call.Leave()
	var want string
	s.before = func(i int) {
		if w.Body.String() != want {
			t.Errorf("before event %d the client has %q", i, w.Body)
		}
		if i < len(s.data) {
			want += "data: " + s.data[i] + "\n\n"
		}
	}
	call.Record = recorder(func(answer *gateway.Answer) {
		if kept = answer; strings.Contains(w.Body.String(), "[DONE]") {
			t.Error("the answer is kept after its end was sent")
		}
	})
	if err := p.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || w.Body.String() != want || !w.Flushed || !s.closed {
		t.Errorf("answered is %d %q, closed %t", w.Code, w.Body, s.closed)
	}
	if kept == nil || gjson.GetBytes(kept.Body, "choices.0.message.content").Str != "pong" || gjson.GetBytes(kept.Body, "usage.total_tokens").Int() != 5 || kept.Usage.Total() != 5 {
		t.Errorf("kept is %+v", kept)
	}
	if call.Usage.Total() != 5 || call.FirstToken <= 0 || call.Err != nil {
		t.Errorf("the call is %+v", call)
	}
}

func TestAStreamThatBreaksSaysSo(t *testing.T) {
	p, a, b := newProxy(t)
	s := &events{data: []string{first}, err: &dialect.Error{Kind: dialect.UpstreamFailed, Message: "it broke off"}}
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return &gateway.Reply{Stream: s}, nil }
	w, call := chat(t, p, streamed, func(call *gateway.Call) {
		call.Record = recorder(func(*gateway.Answer) { t.Error("half an answer was kept") })
	})
	if body := w.Body.String(); !strings.HasPrefix(body, "data: "+first) || !strings.Contains(body, `"error":{"message":"it broke off"`) || strings.Contains(body, "[DONE]") {
		t.Errorf("answered is %q", body)
	}
	if call.Usage.Total() != 5 || len(b.sent) != 0 || !s.closed {
		t.Errorf("%d tokens were used, %d calls fell back, closed %t", call.Usage.Total(), len(b.sent), s.closed)
	}
	if up, _ := p.app.Upstream("a"); up.Status() != "degraded" {
		t.Errorf("the provider is %s", up.Status())
	}
}

// gone is a client whose connection breaks at the second write.
type gone struct {
	*httptest.ResponseRecorder
	writes int
}

func (g *gone) Write(p []byte) (int, error) {
	if g.writes++; g.writes > 1 {
		return 0, errors.New("broken pipe")
	}
	return g.ResponseRecorder.Write(p)
}

func TestAClientWhoLeavesIsNoFailureOfTheProvider(t *testing.T) {
	leaving := &dialect.Error{Kind: dialect.UpstreamFailed, Message: "broken off", Cause: context.Canceled}
	for name, s := range map[string]*events{
		"seen by a write":       {data: []string{first, first, first, second, "[DONE]"}},
		"seen by the provider":  {data: []string{first}, err: leaving},
		"before the next event": {data: []string{first}, err: leaving},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, _ := newProxy(t)
			a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return &gateway.Reply{Stream: s}, nil }
			w := &gone{ResponseRecorder: httptest.NewRecorder()}
			r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(streamed))
			ctx, leave := context.WithCancel(r.Context())
			defer leave()
			if s.err != nil {
				s.before = func(i int) {
					if i == 1 {
						leave()
					}
				}
			}
			if err := p.ServeHTTP(w, r.WithContext(ctx), nil); err != nil {
				t.Fatal(err)
			}
			if w.Body.String() != "data: "+first+"\n\n" || !s.closed || s.at > 2 {
				t.Errorf("the client has %q, the stream gave %d events, closed %t", w.Body, s.at, s.closed)
			}
			if up, _ := p.app.Upstream("a"); up.Status() != "available" {
				t.Errorf("the provider is %s", up.Status())
			}
		})
	}
}

func TestAStreamThatCannotBeFoldedIsDeliveredAndNotKept(t *testing.T) {
	p, a, _ := newProxy(t)
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		return &gateway.Reply{Stream: &events{data: []string{first, "no JSON", second, "[DONE]"}}}, nil
	}
	kept := false
	w, _ := chat(t, p, streamed, func(call *gateway.Call) {
		call.Record = recorder(func(*gateway.Answer) { kept = true })
	})
	if !strings.HasSuffix(w.Body.String(), "[DONE]\n\n") || kept {
		t.Errorf("the client has %q, kept %t", w.Body, kept)
	}
}
