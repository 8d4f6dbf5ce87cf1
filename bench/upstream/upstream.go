// Package upstream is a provider that costs as little as it can: it answers in OpenAI's and in Anthropic's wire format with bytes
// that were made beforehand.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Models that the upstream knows. It looks for their names anywhere in a request.
const (
	Model       = "bench-model"  // answers at once
	PacedModel  = "bench-paced"  // waits for Pace before each event of a stream
	LiveModel   = "bench-live"   // a stream of it goes on, an event a second, until its reader leaves
	ClaudeModel = "claude-bench" // as Model, for Anthropic's surface
)

const (
	// Events is how many parts of a text a stream has.
	Events = 20
	// Pace is how long PacedModel waits before each of them.
	Pace = 5 * time.Millisecond
)

// Serve answers on an address until the context ends. Each answer waits for the latency first.
func Serve(ctx context.Context, address string, latency time.Duration) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: &handler{latency: latency}, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

type handler struct{ latency time.Duration }

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := bodies.Get().(*bytes.Buffer)
	body.Reset()
	defer bodies.Put(body)
	if _, err := io.Copy(body, r.Body); err != nil {
		return // the client left
	}
	if h.latency > 0 && !pause(r.Context(), h.latency) {
		return
	}
	asked := body.Bytes()
	streamed := bytes.Contains(asked, []byte(`"stream":true`)) || bytes.Contains(asked, []byte(`"stream": true`))
	switch {
	case r.URL.Path == "/v1/models":
		write(w, models)
	case r.URL.Path == "/v1/messages" && streamed:
		h.stream(w, r, asked, anthropicStream)
	case r.URL.Path == "/v1/messages":
		write(w, Message)
	case r.URL.Path != "/v1/chat/completions":
		http.NotFound(w, r)
	case streamed:
		h.stream(w, r, asked, openAIStream)
	case bytes.Contains(asked, []byte(`"response_format"`)):
		write(w, analysis)
	default:
		write(w, Completion)
	}
}

func write(w http.ResponseWriter, body []byte) {
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Write(body) //nolint:errcheck // the client left
}

func (h *handler) stream(w http.ResponseWriter, r *http.Request, asked []byte, events [][]byte) {
	header := w.Header()
	header["Content-Type"] = []string{"text/event-stream"}
	header["Cache-Control"] = []string{"no-cache"}
	out := http.NewResponseController(w)
	var wait time.Duration
	live := bytes.Contains(asked, []byte(LiveModel))
	if live {
		wait = time.Second
	} else if bytes.Contains(asked, []byte(PacedModel)) {
		wait = Pace
	}
	for i := 0; i < len(events); i++ {
		if wait > 0 && i > 0 && !pause(r.Context(), wait) {
			return
		}
		if _, err := w.Write(events[i]); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		if live && i == Events-1 {
			i-- // says its last word again and again
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
