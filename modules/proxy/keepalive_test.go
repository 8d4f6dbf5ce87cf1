package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// speaking is how the clients of a dialect stream.
type speaking struct {
	path   string
	body   string // to a model with a target of the dialect, a, and a fallback of it, c
	data   []string
	stream func(e events) gateway.Stream // of the dialect
	sign   string                        // of life
	broken string                        // how an error in a stream begins
}

var clients = map[dialect.Name]speaking{
	dialect.OpenAI: {
		"/v1/chat/completions", streamed, []string{first, second, "[DONE]"},
		func(e events) gateway.Stream { return &e }, ": ping\n\n", `data: {"error":`,
	},
	dialect.Anthropic: {
		"/v1/messages", strings.Replace(strings.Replace(messages, `"x"`, `"both"`, 1), "{", `{"stream":true,`, 1), messageEvents,
		func(e events) gateway.Stream { return &typedEvents{e} }, "event: ping\ndata: {\"type\":\"ping\"}\n\n", "event: error\n",
	},
}

// text is the stream's events as its client gets them.
func (c speaking) text(data []string) string {
	s := c.stream(events{data: data})
	text := ""
	for s.Next() {
		text += string(s.Event())
	}
	return text
}

// eachClient has a test for each dialect, whose time is the test's own, with a proxy whose providers a and b speak the dialect.
func eachClient(t *testing.T, options string, f func(t *testing.T, c speaking, p *Proxy, a, b *scripted)) {
	t.Helper()
	for name, c := range clients {
		t.Run(string(name), func(t *testing.T) {
			p, a, b := newProxyWith(t, strings.ReplaceAll(config, `"scripted"`, `"scripted","speaks":"`+string(name)+`"`), options)
			synctest.Test(t, func(t *testing.T) { f(t, c, p, a, b) })
		})
	}
}

// later answers with a stream after a while, unless its client leaves.
func (c speaking) later(d time.Duration, e events) func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
	return func(ctx context.Context, _ *gateway.Attempt) (*gateway.Reply, error) {
		select {
		case <-time.After(d):
			return &gateway.Reply{Stream: c.stream(e)}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// failing fails after a while.
func failing(d time.Duration, err *dialect.Error) func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
	return func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		time.Sleep(d) // the bubble's time
		return nil, err
	}
}

func TestSilenceBeforeTheFirstEventIsFilled(t *testing.T) {
	eachClient(t, `{}`, func(t *testing.T, c speaking, p *Proxy, a, _ *scripted) {
		a.send = c.later(40*time.Second, events{data: c.data})
		w, call := ask(t, p, c.path, c.body, nil)
		if want := c.sign + c.sign + c.text(c.data); w.Code != 200 || w.Body.String() != want || !w.Flushed {
			t.Errorf("answered is %d %q, want %q", w.Code, w.Body, want)
		}
		if h := w.Header(); h.Get("Content-Type") != "text/event-stream" || h.Get("X-Llm-Provider") != "" {
			t.Errorf("the headers are %v", h)
		}
		if call.FirstToken != 40*time.Second || call.Err != nil || call.Provider != "a" {
			t.Errorf("the call is %+v", call)
		}
	})
}

func TestACallThatAnswersInTimeGetsNoSignsOfLife(t *testing.T) {
	eachClient(t, `{}`, func(t *testing.T, c speaking, p *Proxy, a, _ *scripted) {
		a.send = c.later(14*time.Second, events{data: c.data, before: func(i int) {
			if i > 0 {
				time.Sleep(14 * time.Second)
			}
		}})
		w, _ := ask(t, p, c.path, c.body, nil)
		if w.Body.String() != c.text(c.data) || w.Header().Get("X-Llm-Provider") != "a" {
			t.Errorf("answered is %q, %v", w.Body, w.Header())
		}
		time.Sleep(time.Minute)
		if w.Body.String() != c.text(c.data) {
			t.Errorf("after its end the stream is %q", w.Body)
		}
	})
}

func TestSilenceBetweenEventsIsFilled(t *testing.T) {
	eachClient(t, `{"keepalive_interval":"4s"}`, func(t *testing.T, c speaking, p *Proxy, a, _ *scripted) {
		a.send = c.later(0, events{data: c.data, before: func(i int) {
			if i == 1 {
				time.Sleep(13 * time.Second)
			}
		}})
		w, _ := ask(t, p, c.path, c.body, nil)
		one := c.text(c.data[:1])
		if want := one + strings.Repeat(c.sign, 3) + strings.TrimPrefix(c.text(c.data), one); w.Body.String() != want {
			t.Errorf("answered is %q, want %q", w.Body, want)
		}
	})
}

func TestSignsOfLifeCanBeSwitchedOff(t *testing.T) {
	eachClient(t, `{"keepalive_interval":-1}`, func(t *testing.T, c speaking, p *Proxy, a, _ *scripted) {
		a.send = c.later(time.Hour, events{data: c.data})
		if w, _ := ask(t, p, c.path, c.body, nil); w.Body.String() != c.text(c.data) || w.Header().Get("X-Llm-Provider") != "a" {
			t.Errorf("answered is %q, %v", w.Body, w.Header())
		}
	})
}

func TestAFallbackIsStillPossibleBehindSignsOfLife(t *testing.T) {
	eachClient(t, `{}`, func(t *testing.T, c speaking, p *Proxy, a, b *scripted) {
		a.send = failing(20*time.Second, &dialect.Error{Kind: dialect.Unavailable, Retryable: true})
		b.send = c.later(20*time.Second, events{data: c.data})
		w, call := ask(t, p, c.path, c.body, nil)
		if want := c.sign + c.sign + c.text(c.data); w.Body.String() != want || call.Attempts != 2 || call.Provider != "b" || call.Err != nil {
			t.Errorf("after %d attempts answered is %q, want %q", call.Attempts, w.Body, want)
		}
	})
}

func TestAFailureBehindSignsOfLifeIsToldInTheStream(t *testing.T) {
	eachClient(t, `{}`, func(t *testing.T, c speaking, p *Proxy, a, b *scripted) {
		a.send = failing(20*time.Second, &dialect.Error{Kind: dialect.UpstreamAuth, Message: "credential"})
		b.send = failing(20*time.Second, &dialect.Error{Kind: dialect.Timeout, Message: "too late", Retryable: true})
		w, call := ask(t, p, c.path, c.body, nil)
		after, ok := strings.CutPrefix(w.Body.String(), c.sign+c.sign+c.broken)
		if w.Code != 200 || !ok || !strings.Contains(after, "too late") || strings.Count(after, "\n\n") != 1 || call.Status != 200 {
			t.Errorf("answered is %d %q", w.Code, w.Body)
		}
		var e *dialect.Error
		if e, _ = call.Err.(*dialect.Error); e == nil || e.Kind != dialect.Timeout {
			t.Errorf("the call failed with %v", call.Err)
		}
	})
}

func TestAWholeAnswerBehindSignsOfLifeIsToldInEvents(t *testing.T) {
	p, a, _ := newProxy(t)
	synctest.Test(t, func(t *testing.T) {
		a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
			time.Sleep(20 * time.Second)
			return whole(answer), nil
		}
		w, call := chat(t, p, streamed, nil)
		rest, ok := strings.CutPrefix(w.Body.String(), ": ping\n\ndata: ")
		if text, finish, _, done := readChunks("data: " + rest); !ok || text != "pong" || finish != "stop" || !done || call.Err != nil {
			t.Errorf("answered is %q", w.Body)
		}
	})
}

func TestAClientWhoLeavesInASilenceEndsTheCall(t *testing.T) {
	eachClient(t, `{}`, func(t *testing.T, c speaking, p *Proxy, a, b *scripted) {
		a.send = c.later(time.Hour, events{data: c.data})
		w := httptest.NewRecorder()
		r := gatewaytest.Request(w, http.MethodPost, c.path, strings.NewReader(c.body))
		ctx, leave := context.WithTimeout(r.Context(), 50*time.Second)
		defer leave()
		began := time.Now()
		if err := p.ServeHTTP(w, r.WithContext(ctx), nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 50*time.Second || w.Body.String() != strings.Repeat(c.sign, 3) || len(b.sent) != 0 {
			t.Errorf("after %s the client has %q, %d calls fell back", took, w.Body, len(b.sent))
		}
	})
}

func TestAProvidersOwnSignsOfLifeCount(t *testing.T) {
	c := clients[dialect.Anthropic]
	p, a, _ := newProxyWith(t, mixed, `{"keepalive_interval":"4s"}`)
	synctest.Test(t, func(t *testing.T) {
		ping := `{"type":"ping"}`
		data := append([]string{messageEvents[0], ping, ping, ping}, messageEvents[1:]...)
		a.send = c.later(0, events{data: data, before: func(i int) {
			if i >= 1 && i <= 3 {
				time.Sleep(3 * time.Second)
			}
		}})
		if w, _ := ask(t, p, c.path, c.body, nil); w.Body.String() != c.text(data) {
			t.Errorf("a client of its dialect has %q", w.Body)
		}
		// A client of another dialect is not told of them, and needs others.
		w, _ := chat(t, p, streamed, nil)
		if text, _, _, done := readChunks(w.Body.String()); text != "pong" || !done || strings.Count(w.Body.String(), ": ping\n\n") != 2 || strings.Contains(w.Body.String(), `"ping"`) {
			t.Errorf("a client of another dialect has %q", w.Body)
		}
	})
}

func TestTheRecorderSeesSignsOfLifeApart(t *testing.T) {
	p, a, _ := newProxy(t)
	synctest.Test(t, func(t *testing.T) {
		a.send = clients[dialect.OpenAI].later(20*time.Second, events{data: clients[dialect.OpenAI].data})
		var log logged
		chat(t, p, streamed, func(call *gateway.Call) { call.Record = &log })
		if log.signs != ": ping\n\n" || strings.Contains(log.events, "ping") || gjson.GetBytes(log.kept, "choices.0.message.content").Str != "pong" {
			t.Errorf("recorded is %+v", log)
		}
	})
}

// logged keeps what a recorder is told.
type logged struct {
	events, signs string
	kept          []byte
}

func (l *logged) Event(event []byte)           { l.events += string(event) }
func (l *logged) KeepAlive(sign []byte)        { l.signs += string(sign) }
func (l *logged) Whole(answer *gateway.Answer) { l.kept = answer.Body }

// BenchmarkStream measures a streamed call of a thousand events from the handler on.
func BenchmarkStream(b *testing.B) {
	data := make([]string, 0, 1002)
	for range 1000 {
		data = append(data, first)
	}
	data = append(data, second, "[DONE]")
	events := &wired{data: make([][]byte, len(data))}
	for i, d := range data {
		events.data[i] = []byte("data: " + d + "\n\n")
	}
	for name, options := range map[string]string{"signs of life": `{}`, "none": `{"keepalive_interval":-1}`} {
		b.Run(name, func(b *testing.B) {
			p, a, _ := newProxyWith(b, config, options)
			a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
				events.at = 0
				return &gateway.Reply{Stream: events}, nil
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discarding{header: make(http.Header)}
				if err := p.ServeHTTP(w, gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(streamed)), nil); err != nil {
					b.Fatal(err)
				}
			}
			a.sent = nil
		})
	}
}

// wired is a stream whose events cost nothing.
type wired struct {
	data [][]byte
	at   int
}

func (s *wired) Next() bool         { s.at++; return s.at <= len(s.data) }
func (s *wired) Event() []byte      { return s.data[s.at-1] }
func (s *wired) Data() []byte       { return s.data[s.at-1][6 : len(s.data[s.at-1])-2] }
func (s *wired) Last() bool         { return s.at == len(s.data) }
func (*wired) Usage() dialect.Usage { return dialect.Usage{Input: 3, Output: 2} }
func (*wired) Err() error           { return nil }
func (*wired) Close() error         { return nil }

// discarding is a client that takes everything.
type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header       { return d.header }
func (*discarding) WriteHeader(int)             {}
func (*discarding) Write(p []byte) (int, error) { return len(p), nil }
func (*discarding) Flush()                      {}
