package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// ServeJSON writes a JSON body that is not an answer of a model.
func (c *Call) ServeJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.serve(w, status, text)
}

// ServeBody writes a JSON text that is not an answer of a model, with status 200.
func (c *Call) ServeBody(w http.ResponseWriter, text []byte) error {
	return c.serve(w, http.StatusOK, text)
}

func (c *Call) serve(w http.ResponseWriter, status int, text []byte) error {
	c.Status = status
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}

// ServeAnswer writes a whole answer, in the surface's shape.
func (c *Call) ServeAnswer(w http.ResponseWriter, answer *Answer) error {
	c.Provider, c.Upstream = answer.Provider, answer.Model
	h := w.Header()
	c.nameRoute(h)
	c.Status = http.StatusOK
	if c.Deliver != nil {
		return c.Deliver(w, answer)
	}
	return c.ServeBody(w, answer.Body)
}

// ServeAnswerStream writes a whole answer as the stream that the client asked for. The error is a *dialect.Error where the
// answer cannot be told in events; nothing has been sent then.
func (c *Call) ServeAnswerStream(w http.ResponseWriter, answer *Answer) error {
	c.Provider, c.Upstream = answer.Provider, answer.Model
	begun := false
	var writing error
	err := c.Codec().Replay(answer.Body, dialect.StreamOptions{IncludeUsage: c.IncludeUsage}, func(event []byte) bool {
		if !begun {
			begun = true
			c.BeginStream(w)
		}
		_, writing = w.Write(event)
		return writing == nil
	})
	if err != nil {
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer is not complete", Cause: err}
	}
	return writing
}

// BeginStream sends the head of a streamed answer. Provider and Upstream must be known.
func (c *Call) BeginStream(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Accel-Buffering"] = []string{"no"}
	c.nameRoute(h)
	c.Status = http.StatusOK
	w.WriteHeader(http.StatusOK)
}

// nameRoute tells who answers.
func (c *Call) nameRoute(h http.Header) {
	values := []string{c.Provider, c.Upstream}
	h["X-Llm-Provider"], h["X-Llm-Model"] = values[:1:1], values[1:]
	if c.Attempts > 1 {
		h.Set("X-Llm-Attempts", strconv.Itoa(c.Attempts))
	}
}
