package gemini

import (
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Complete tells why a response is not fit to be kept and given to others; nil where it is: valid, without an
// error, and with a reason why each of its candidates ended, or why the prompt was blocked.
func Complete(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	w := readResponse(answer)
	if w.err != nil {
		return errors.New("the answer holds an error")
	}
	n := 0
	for raw := range dialect.Elements(list(w.candidates)) {
		n++
		switch c := readCandidate(raw); finishOf(c.reason) {
		case dialect.FinishNone:
			return errors.New("a candidate has no finishReason")
		case dialect.FinishPause:
			return errors.New("a candidate pauses and is to go on")
		case dialect.FinishError:
			return fmt.Errorf("a candidate ended with %s", c.reason)
		}
	}
	if n == 0 && w.blockReason == "" {
		return errors.New("the answer has no candidate")
	}
	return nil
}

// wireResponse holds the members of a response, as they are written; nil where they are missing.
type wireResponse struct {
	id, model, candidates, usage []byte
	blockReason                  string
	blockMessage                 dialect.Inside
	err                          []byte
}

// readResponse reads a response or an event of a stream. Google's servers may wrap an error in an array.
func readResponse(body []byte) (w wireResponse) {
	if len(body) > 0 && body[0] == '[' {
		for element := range dialect.Elements(body) {
			return readResponse(element)
		}
	}
	for name, value := range dialect.Members(body) {
		switch string(camel(name)) {
		case "candidates":
			w.candidates = value
		case "usageMetadata":
			w.usage = value
		case "modelVersion":
			w.model = value
		case "responseId":
			w.id = value
		case "promptFeedback":
			for name, value := range dialect.Members(value) {
				switch string(camel(name)) {
				case "blockReason":
					w.blockReason, _ = dialect.Text(value)
				case "blockReasonMessage":
					w.blockMessage = dialect.InsideOf(value)
				}
			}
		case "error":
			if string(value) != "null" {
				w.err = value
			}
		}
	}
	return w
}

// candidate returns the first candidate; nil where there is none.
func (w *wireResponse) candidate() []byte {
	for element := range dialect.Elements(list(w.candidates)) {
		return element
	}
	return nil
}

// wireCandidate holds the members of a candidate, as they are written; nil where they are missing.
type wireCandidate struct {
	index                string
	parts                []byte
	reason               string
	message              dialect.Inside
	citations, grounding []byte
}

func readCandidate(raw []byte) (c wireCandidate) {
	for name, value := range dialect.Members(raw) {
		switch string(camel(name)) {
		case "index":
			c.index = string(value)
		case "content":
			for name, value := range dialect.Members(value) {
				if string(camel(name)) == "parts" {
					c.parts = value
				}
			}
		case "finishReason":
			c.reason, _ = dialect.Text(value)
		case "finishMessage":
			c.message = dialect.InsideOf(value)
		case "citationMetadata":
			c.citations = value
		case "groundingMetadata":
			c.grounding = value
		}
	}
	return c
}
