package exchange

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestAConnectionServesOnAfterAStreamThatIsComplete(t *testing.T) {
	const end = "data: end\n\n"
	for _, tt := range []struct {
		name  string
		event string        // what the stream has
		rest  time.Duration // from there to the end of the body
		tail  int           // bytes behind the event
		read  int           // events read before Close
		kept  bool
	}{
		{"the end of the body comes at once", end, 0, 0, 1, true},
		{"the end of the body comes late", end, lingerTimeout - time.Millisecond, 0, 1, true},
		{"something follows the last event", end, time.Millisecond, maxTail - 1, 1, true},
		{"the end of the body does not come in time", end, lingerTimeout + time.Millisecond, 0, 1, false},
		{"too much follows the last event", end, time.Millisecond, maxTail + 1, 1, false},
		{"the answer is not complete", "data: a part\n\n", time.Millisecond, 0, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler := func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, tt.event) //nolint:errcheck // the client reads it
				w.(http.Flusher).Flush()
				select {
				case <-time.After(tt.rest):
				case <-r.Context().Done():
				}
				w.Write(make([]byte, tt.tail)) //nolint:errcheck // the client may be gone
			}
			inBubble(t, handler, func(t *testing.T, c *Client) {
				kept := false
				ctx, cancel := context.WithCancel(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					PutIdleConn: func(err error) { kept = err == nil },
				}))
				reply, err := c.Send(ctx, "/", []byte("{}"), &gateway.Attempt{Stream: true}, plain)
				if err != nil {
					t.Fatal(err)
				}
				for range tt.read {
					reply.Stream.Next()
				}
				began := time.Now()
				reply.Stream.Close() //nolint:errcheck // it has no error
				cancel()             // as the server does once the call is answered
				if took := time.Since(began); took != 0 {
					t.Errorf("the call waited for %s", took)
				}
				time.Sleep(2 * lingerTimeout) // of the bubble's time
				synctest.Wait()
				if kept != tt.kept {
					t.Errorf("the connection is kept: %t, want %t", kept, tt.kept)
				}
			})
		})
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	left := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		after("text/event-stream", 0, "data: a part\n\n")(w, r)
		close(left)
	}
	inBubble(t, handler, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancel(t.Context())
		reply, err := c.Send(ctx, "/", []byte("{}"), &gateway.Attempt{Stream: true}, plain)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Stream.Close() //nolint:errcheck // it has no error
		reply.Stream.Next()
		cancel()
		if reply.Stream.Next() || reply.Stream.Err() == nil {
			t.Errorf("the stream goes on: %q, %v", reply.Stream.Data(), reply.Stream.Err())
		}
		<-left
	})
}
