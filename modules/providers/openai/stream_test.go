package openai

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestStreamsOfManyKinds(t *testing.T) {
	bad := "data: {\"choices\":[{\"index\":0,\n\n"
	withUsage := strings.Replace(closing, `}]}`, `}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`, 1)
	withNull := strings.Replace(opening, `}]}`, `}],"usage":null}`, 1)
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, tt := range []struct {
		name, sent, want string
		complete         bool
		tokens           int64
	}{
		{"whole", opening + closing + counted + finish, opening + closing + finish, true, 9},
		{"without usage", opening + closing + finish, opening + closing + finish, true, 0},
		{"usage beside a choice", opening + withUsage + finish, opening + closing + finish, true, 9},
		{"null usage in each event", withNull + closing + counted + finish, opening + closing + finish, true, 9},
		{"CRLF", crlf(opening + closing + finish), crlf(opening + closing + finish), true, 0},
		{"comments", ": ping\n\n" + opening + ": ping\n\n" + closing + finish, opening + closing + finish, true, 0},
		{"one malformed event", opening + bad + closing + finish, opening + closing + finish, true, 0},
		{"more behind the end", opening + finish + closing, opening + finish, true, 0},
		{"no blank line behind the end", opening + "data: [DONE]", opening + finish, true, 0},
		{"no end", opening + closing, opening + closing, false, 0},
		{"cut in an event", opening + closing[:20], opening, false, 0},
		{"cut before a blank line", opening + strings.TrimSuffix(closing, "\n"), opening, false, 0},
		{"error in the middle", opening + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", opening, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", tt.sent)), nil)
			s := openSent(t, p, ask(true))
			text, complete := rest(s)
			if text != tt.want || complete != tt.complete {
				t.Errorf("the client gets %q, complete %t, want %q", text, complete, tt.want)
			}
			var e *dialect.Error
			if complete != (s.Err() == nil) || !complete && (!errors.As(s.Err(), &e) || e.Retryable) {
				t.Errorf("complete %t, but the error is %v", complete, s.Err())
			}
			if got := s.Usage().Total(); got != tt.tokens {
				t.Errorf("%d tokens were used, want %d", got, tt.tokens)
			}
		})
	}
}

func TestAStreamThatFailsBeforeItsFirstEventMayBeTriedAgain(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":          "",
		"comments alone":   ": ping\n\n",
		"an error":         "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\"}}\n\n",
		"half an event":    opening[:20],
		"no valid event":   "data: {\n\n",
		"too long a event": "data: " + strings.Repeat("x", exchange.MaxEvent) + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(200, "text/event-stream", sent)), nil)
			if e := providertest.Failure(t, p, ask(true)); e.Kind != dialect.UpstreamFailed || !e.Retryable {
				t.Errorf("the kind is %s, retryable %t", e.Kind, e.Retryable)
			}
		})
	}
}

func TestAServerThatDoesNotStreamAnswersWhole(t *testing.T) {
	reply, err := newProvider(t, providertest.Serve(t, providertest.Says(200, "application/json", answer)), nil).Send(t.Context(), ask(true))
	if err != nil || reply.Stream != nil || string(reply.Body) != answer {
		t.Errorf("the reply is %+v, %v", reply, err)
	}
}

func TestUsageIsAskedForWhereTheClientDoesNot(t *testing.T) {
	calls := make(chan sent, 1)
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls <- keep(t, r)
		providertest.Says(200, "text/event-stream", opening+counted+finish)(w, r)
	})
	p := newProvider(t, base, nil)
	for _, tt := range []struct {
		options    string // what the client sends
		wantsUsage bool
		sent, got  string
	}{
		{"", false, `{"include_usage":true}`, opening + finish},
		{`{"x":1}`, false, `{"x":1,"include_usage":true}`, opening + finish},
		{`{"include_usage":true}`, true, `{"include_usage":true}`, opening + counted + finish},
	} {
		a := ask(true)
		a.WantUsage = tt.wantsUsage
		if tt.options != "" {
			a.Body = []byte(strings.Replace(question, `"messages"`, `"stream_options":`+tt.options+`,"messages"`, 1))
		}
		s := openSent(t, p, a)
		if text, _ := rest(s); text != tt.got || s.Usage().Total() != 9 {
			t.Errorf("with %q the client gets %q and %d tokens", tt.options, text, s.Usage().Total())
		}
		if got := (<-calls).body["stream_options"]; string(got) != tt.sent {
			t.Errorf("with %q the upstream gets %s, want %s", tt.options, got, tt.sent)
		}
	}
}

func TestAServerThatRefusesStreamOptionsIsAskedWithout(t *testing.T) {
	for name, refusal := range map[string]http.HandlerFunc{
		"OpenAI's shape": providertest.Says(400, "application/json", `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`),
		"FastAPI's":      providertest.Says(422, "application/json", `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			calls := make(chan bool, 3)
			base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				got := keep(t, r)
				_, asked := got.body["stream_options"]
				calls <- asked
				if asked {
					refusal(w, r)
					return
				}
				providertest.Says(200, "text/event-stream", opening+finish)(w, r)
			})
			p := newProvider(t, base, nil)
			for range 2 {
				if text, complete := rest(openSent(t, p, ask(true))); text != opening+finish || !complete {
					t.Errorf("the client gets %q", text)
				}
			}
			for i, want := range []bool{true, false, false} {
				if got := <-calls; got != want {
					t.Errorf("call %d asked for usage: %t", i, got)
				}
			}
		})
	}
	t.Run("unless it refuses the call anyway", func(t *testing.T) {
		asked := make(chan bool, 4)
		base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked <- strings.Contains(string(body), "stream_options")
			providertest.Says(400, "application/json", `{"error":{"message":"stream_options and everything else is wrong"}}`)(w, r)
		})
		p := newProvider(t, base, nil)
		for range 2 {
			if e := providertest.Failure(t, p, ask(true)); e.Kind != dialect.InvalidRequest {
				t.Errorf("the kind is %s", e.Kind)
			}
		}
		for i, want := range []bool{true, false, true, false} {
			if got := <-asked; got != want {
				t.Errorf("call %d asked for usage: %t", i, got)
			}
		}
	})
}

func TestEventsComeAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a server reads what it is sent
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{opening, closing, finish} {
			io.WriteString(w, event) //nolint:errcheck // the client reads it
			w.(http.Flusher).Flush()
			<-next
		}
	})
	s := openSent(t, newProvider(t, base, nil), ask(true))
	for _, want := range []string{opening, closing, finish} {
		if !s.Next() || string(s.Event()) != want {
			t.Fatalf("the event is %q, want %q", s.Event(), want)
		}
		next <- struct{}{}
	}
}

func BenchmarkStream(b *testing.B) {
	text := strings.Repeat(opening, 100) + closing + counted + finish
	p := newProvider(b, providertest.Serve(b, providertest.Says(200, "text/event-stream", text)), nil)
	b.ReportAllocs()
	for b.Loop() {
		reply, err := p.Send(b.Context(), ask(true))
		if err != nil {
			b.Fatal(err)
		}
		for reply.Stream.Next() {
		}
		reply.Stream.Close()
	}
}
