package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// pipes is a network within a process, whose time may be a test's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p pipes) Close() error {
	close(p)
	return nil
}

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p <- there
	return here, nil
}

// inBubble serves with handle, and makes a client of that server; the time is the bubble's own.
func inBubble(t *testing.T, handle http.HandlerFunc, f func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := make(pipes)
		srv := &http.Server{Handler: handle}
		served := make(chan struct{})
		go func() {
			defer close(served)
			srv.Serve(network) //nolint:errcheck // it ends with the test
		}()
		c := &Client{Sign: func(*http.Request, string) {}}
		if err := c.Set([]string{"http://pipe"}, ""); err != nil {
			t.Fatal(err)
		}
		c.Open(0)
		c.transports.of(0).DialContext = network.dial
		f(t, c)
		c.Close()
		srv.Close() //nolint:errcheck // its listener has no error
		<-served
	})
}

// plain is how a server answers that sends texts.
var plain = &Format{
	ParseError: func(status int, _ func(string) string, _ []byte) error {
		return dialect.Errorf(dialect.UpstreamFailed, "status %d", status)
	},
	IsError: func([]byte) bool { return false },
	UsageOf: func([]byte) (dialect.Usage, bool) { return dialect.Usage{}, false },
	Reader:  func(func(string) string) Reader { return plainReader{} },
}

type plainReader struct{}

func (plainReader) Read(data []byte) Verdict {
	return Verdict{Pass: true, Last: string(data) == "end"}
}
func (plainReader) Usage() dialect.Usage { return dialect.Usage{} }

// after sends parts of an answer, each after a while, and then nothing more while anybody listens.
func after(contentType string, d time.Duration, parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
		w.Header().Set("Content-Type", contentType)
		for _, part := range parts {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
			io.WriteString(w, part) //nolint:errcheck // the client reads it
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

func TestEachTimeoutEndsAnAttemptToTheSecond(t *testing.T) {
	event := string(sse.AppendData(nil, []byte("{}")))
	const comment = ": working\n\n"
	for _, tt := range []struct {
		name      string
		own, call gateway.Timeouts
		stream    bool
		upstream  http.HandlerFunc
		took      time.Duration
		events    int
		again     bool // it may be tried here again
	}{
		{"no first event, by default", gateway.Timeouts{}, gateway.Timeouts{}, true, after("text/event-stream", 0), DefaultFirstTokenTimeout, 0, true},
		{"no first event, as the call says", gateway.Timeouts{}, gateway.Timeouts{FirstToken: 7 * time.Second}, true, after("text/event-stream", 0), 7 * time.Second, 0, true},
		{"no first event, as the provider says", gateway.Timeouts{FirstToken: 5 * time.Second}, gateway.Timeouts{FirstToken: 7 * time.Second}, true, after("text/event-stream", 0), 5 * time.Second, 0, true},
		{"comments before the first event", gateway.Timeouts{}, gateway.Timeouts{FirstToken: 7 * time.Second}, true, after("text/event-stream", 3*time.Second, comment, comment, comment), 7 * time.Second, 0, true},
		{"no head of a whole answer", gateway.Timeouts{}, gateway.Timeouts{FirstToken: 7 * time.Second}, false, after("application/json", 20*time.Second, "{}"), 7 * time.Second, 0, true},
		{"a silence in a whole answer, by default", gateway.Timeouts{}, gateway.Timeouts{}, false, after("application/json", time.Second, "{"), time.Second + DefaultIdleTimeout, 0, false},
		{"a silence between events", gateway.Timeouts{}, gateway.Timeouts{Idle: 4 * time.Second}, true, after("text/event-stream", time.Second, event, event), 6 * time.Second, 2, false},
		{"a silence between events, as the provider says", gateway.Timeouts{Idle: 2 * time.Second}, gateway.Timeouts{Idle: 4 * time.Second}, true, after("text/event-stream", time.Second, event, event), 4 * time.Second, 2, false},
		{"comments are signs of life", gateway.Timeouts{}, gateway.Timeouts{Idle: 4 * time.Second}, true, after("text/event-stream", 3*time.Second, event, comment, comment), 13 * time.Second, 1, false},
		{"a whole answer that takes too long", gateway.Timeouts{}, gateway.Timeouts{Total: 9 * time.Second}, false, after("application/json", 2*time.Second, "[", "1", ",", "2", ",", "3"), 9 * time.Second, 0, false},
		{"a stream that takes too long", gateway.Timeouts{Total: 5 * time.Second}, gateway.Timeouts{Total: 9 * time.Second}, true, after("text/event-stream", 2*time.Second, event, event, event), 5 * time.Second, 2, false},
		{"nothing in time", gateway.Timeouts{}, gateway.Timeouts{Total: 5 * time.Second}, true, after("text/event-stream", 0), 5 * time.Second, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.upstream, func(t *testing.T, c *Client) {
				c.FirstToken, c.Idle, c.Total = tt.own.FirstToken, tt.own.Idle, tt.own.Total
				began, events := time.Now(), 0
				reply, err := c.Send(t.Context(), "/", []byte("{}"), &gateway.Attempt{Stream: tt.stream, Timeouts: tt.call}, plain)
				if err == nil {
					for reply.Stream.Next() {
						events++
					}
					err = reply.Stream.Err()
					reply.Stream.Close() //nolint:errcheck // it has no error
				}
				var e *dialect.Error
				if !errors.As(err, &e) || e.Kind != dialect.Timeout || e.Retryable != tt.again {
					t.Errorf("the error is %v, want a timeout that may pass: %t", err, tt.again)
				}
				if took := time.Since(began); took != tt.took || events != tt.events {
					t.Errorf("it took %s and gave %d events, want %s and %d", took, events, tt.took, tt.events)
				}
			})
		})
	}
}

func TestAnAnswerInTimeIsNotCutByAnyTimeout(t *testing.T) {
	event := string(sse.AppendData(nil, []byte("{}")))
	end := string(sse.AppendData(nil, []byte("end")))
	short := gateway.Timeouts{FirstToken: 3 * time.Second, Idle: 3 * time.Second, Total: 9 * time.Second}
	inBubble(t, after("text/event-stream", 2*time.Second, event, event, event, end), func(t *testing.T, c *Client) {
		reply, err := c.Send(t.Context(), "/", []byte("{}"), &gateway.Attempt{Stream: true, Timeouts: short}, plain)
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for ; reply.Stream.Next(); events++ {
			// A client that takes its time is no silence of the provider's.
			if events == 2 {
				time.Sleep(time.Second / 2)
			}
		}
		if err := reply.Stream.Err(); err != nil || events != 4 || !reply.Stream.Last() {
			t.Errorf("after %d events the error is %v", events, err)
		}
		reply.Stream.Close() //nolint:errcheck // it has no error
	})
}

func TestThereIsATransportForEachConnectTimeout(t *testing.T) {
	var c Client
	c.Open(0)
	defer c.Close()
	byDefault, short := c.transports.of(0), c.transports.of(time.Second)
	if byDefault == short || byDefault != c.transports.of(DefaultConnectTimeout) || short != c.transports.of(time.Second) {
		t.Error("a bound has not its own transport")
	}
	if short.TLSHandshakeTimeout != time.Second || byDefault.TLSHandshakeTimeout != DefaultConnectTimeout {
		t.Errorf("a handshake may take %s and %s", short.TLSHandshakeTimeout, byDefault.TLSHandshakeTimeout)
	}
	c.Open(2 * time.Second)
	if own := c.transports.of(time.Second); own.connect != 2*time.Second || own != c.transports.of(0) {
		t.Errorf("the provider's own bound is %s", own.connect)
	}
	if n := testing.AllocsPerRun(100, func() { c.transports.of(time.Minute) }); n != 0 {
		t.Errorf("finding one allocates %v times", n)
	}
}

// The handshake is bounded like the dial: a host that takes connections and says nothing is one that cannot be reached.
func TestAHandshakeThatIsNotAnsweredEndsInTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := &Client{Sign: func(*http.Request, string) {}}
	if err := c.Set([]string{"https://" + listener.Addr().String()}, ""); err != nil {
		t.Fatal(err)
	}
	c.Open(0)
	defer c.Close()
	_, err = c.Send(t.Context(), "/", nil, &gateway.Attempt{Timeouts: gateway.Timeouts{Connect: 20 * time.Millisecond}}, plain)
	var e *dialect.Error
	if !errors.As(err, &e) || !e.Retryable || e.Kind != dialect.Timeout {
		t.Errorf("the error is %v", err)
	}
}
