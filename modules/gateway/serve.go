package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
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
	values := []string{jsonType, strconv.Itoa(len(text))} // the answer's own: header operations of the config change values in place
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:2:2]
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

// nameRoute tells who answers.
func (c *Call) nameRoute(h http.Header) {
	values := []string{c.Provider, c.Upstream}
	h["X-Llm-Provider"], h["X-Llm-Model"] = values[:1:1], values[1:]
	c.tellAttempts(h)
}

// tellAttempts says how many providers were asked, where it was not one.
func (c *Call) tellAttempts(h http.Header) {
	if c.Attempts > 1 {
		h["X-Llm-Attempts"] = []string{strconv.Itoa(c.Attempts)}
	}
}
