package gateway

import (
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// ServeAnswerStream writes a whole answer as the stream that the client asked for. The error is a *dialect.Error where the
// answer cannot be told in events; nothing of it has been sent then.
func (c *Call) ServeAnswerStream(w http.ResponseWriter, answer *Answer) error {
	c.Provider, c.Upstream = answer.Provider, answer.Model
	var writing error
	err := c.Codec().Replay(answer.Body, dialect.StreamOptions{IncludeUsage: c.IncludeUsage}, func(event []byte) bool {
		c.BeginStream(w)
		writing = c.WriteEvent(w, event, sse.DataOf(event))
		return writing == nil
	})
	if err != nil {
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer is not complete", Cause: err}
	}
	if writing == nil {
		writing = c.EndStream(w)
	}
	return writing
}

// BeginStream sends the head of a streamed answer, unless it is sent already. It says who answers, where that is known.
func (c *Call) BeginStream(w http.ResponseWriter) {
	if c.begun {
		return
	}
	if c.Provider != "" {
		c.nameRoute(w.Header())
	}
	c.BeginUnanswered(w)
}

// BeginUnanswered sends the head of a stream of which nobody knows yet who answers it. What fails from then on is told in the stream.
func (c *Call) BeginUnanswered(w http.ResponseWriter) {
	h := w.Header()
	values := []string{"text/event-stream", "no-cache", "no"} // the answer's own, as with serve
	if c.Array != nil {
		values[0] = jsonType
	}
	h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = values[:1:1], values[1:2:2], values[2:]
	c.Status, c.begun = http.StatusOK, true
	w.WriteHeader(http.StatusOK)
}

// Begun says whether the head of a stream is sent.
func (c *Call) Begun() bool { return c.begun }

// WriteEvent sends an event of a stream whose head is sent, as it is in wire form; or its data, where the client wants an array.
func (c *Call) WriteEvent(w http.ResponseWriter, event, data []byte) error {
	if c.Array != nil {
		event = c.AppendEvent(make([]byte, 0, len(data)+4), event, data)
	}
	_, err := w.Write(event)
	return err
}

// AppendEvent appends an event as WriteEvent sends it.
func (c *Call) AppendEvent(dst, event, data []byte) []byte {
	if c.Array != nil {
		return c.Array.Append(dst, data)
	}
	return append(dst, event...)
}

// EndStream sends what ends a stream behind its last event, which for server-sent events is nothing.
func (c *Call) EndStream(w http.ResponseWriter) error {
	if c.Array == nil {
		return nil
	}
	_, err := w.Write(c.Array.End(nil))
	return err
}

// BreakStream ends a stream that cannot go on with an error in it, which the official SDKs raise. Whether the client is there to
// read it does not matter.
func (c *Call) BreakStream(w http.ResponseWriter, e *dialect.Error) {
	event := c.Codec().AppendErrorEvent(nil, c.identified(e))
	if c.WriteEvent(w, event, sse.DataOf(event)) == nil && c.EndStream(w) == nil {
		http.NewResponseController(w).Flush() //nolint:errcheck
	}
}
