package exchange

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A payload is freed when each reading of it has come to its end, and not before; and each reader has the whole of it.
func TestPayloadIsFreedOnceItIsSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "body")
		p := &payload{body: text}
		allSent := true
		for _, fails := range rapid.SliceOfN(rapid.Bool(), 1, 4).Draw(t, "which reading fails") {
			reader, err := p.open()
			if err != nil {
				t.Fatal(err)
			}
			if p.free(); p.body == nil {
				t.Fatal("freed while it is read")
			}
			if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%q was read of %q, error %v", got, text, err)
			}
			end := httptrace.WroteRequestInfo{}
			if fails {
				end.Err, allSent = io.ErrClosedPipe, false
			}
			p.wrote(end)
		}
		if p.free(); (p.body == nil) != allSent || (p.readers[0].Size() == 0) != allSent {
			t.Errorf("freed: %v, all sent: %v; a reader keeps %d bytes", p.body == nil, allSent, p.readers[0].Size())
		}
	})
}

// countingConn counts the writes to a connection.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestAShortQuestionLeavesInOneWriteAndIsLetGoOf(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body) //nolint:errcheck // the client checks what it gets
	}
	for _, stream := range []bool{false, true} {
		inBubble(t, answer, func(t *testing.T, c *Client) {
			var writes atomic.Int64
			transport := c.transports.of(0)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return countingConn{conn, &writes}, err
			}
			body := bytes.Repeat([]byte("a"), 1<<10)
			resp, question, err := c.request(t.Context(), "/", body, &gateway.Attempt{Stream: stream})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("the server got %d bytes, error %v", len(got), err)
			}
			synctest.Wait()
			if n := writes.Load(); n != 1 {
				t.Errorf("stream %v: %d writes, want 1", stream, n)
			}
			if question.free(); (question.body == nil) != stream {
				t.Errorf("stream %v: let go of: %v", stream, question.body == nil)
			}
		})
	}
}

// A server may answer before it has read the request. What it reads later must be there.
func TestAServerThatAnswersEarlyGetsTheWholeBody(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	got := make(chan []byte, 1)
	early := func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		if err := out.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {}\n\n") //nolint:errcheck // the client reads it
		if err := out.Flush(); err != nil {
			t.Error(err)
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- text
		io.WriteString(w, "data: end\n\n") //nolint:errcheck // the client reads it
	}
	inBubble(t, early, func(t *testing.T, c *Client) {
		reply, err := c.Send(t.Context(), "/", body, &gateway.Attempt{Stream: true}, plain)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Stream.Close() //nolint:errcheck // it has no error
		events := 0
		for reply.Stream.Next() {
			events++
		}
		if err := reply.Stream.Err(); err != nil || events != 2 {
			t.Errorf("%d events, %v", events, err)
		}
		if text := <-got; !bytes.Equal(text, body) {
			t.Errorf("the server has read %d of %d bytes", len(text), len(body))
		}
	})
}
