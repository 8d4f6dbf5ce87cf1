package exchange

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A payload is freed when all that was begun to be read is read or given up, and not before; and each reader has the whole of it.
func TestPayloadIsFreedOnceNobodyReadsIt(t *testing.T) {
	type reading struct {
		io.ReadCloser
		got    []byte
		closed bool
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "body")
		p := &payload{body: text}
		var all []*reading
		open := func() {
			r, err := p.open()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &reading{ReadCloser: r})
		}
		for open(); p.body != nil; {
			r := rapid.SampledFrom(all).Draw(t, "reader")
			switch rapid.SampledFrom([]string{"open", "close", "read", "read", "read"}).Draw(t, "step") {
			case "open":
				if len(all) < 5 {
					open()
				}
			case "close":
				r.closed = true
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			case "read":
				buf := make([]byte, rapid.IntRange(1, 60).Draw(t, "room"))
				n, err := r.Read(buf)
				r.got = append(r.got, buf[:n]...)
				if over := r.closed || len(r.got) == len(text); err != nil && (err != io.EOF || !over) {
					t.Fatalf("%v after %d of %d bytes", err, len(r.got), len(text))
				}
			}
			wanted := false
			for _, r := range all {
				if !bytes.HasPrefix(text, r.got) {
					t.Fatalf("%q was read of %q", r.got, text)
				}
				wanted = wanted || !r.closed && len(r.got) < len(text)
			}
			if freePayload(&http.Request{Body: all[0].ReadCloser}); (p.body == nil) == wanted {
				t.Fatalf("freed: %v, while somebody wants it: %v", p.body == nil, wanted)
			}
		}
	})
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
