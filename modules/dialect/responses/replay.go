package responses

import (
	"bytes"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Replay gives a whole answer as the events of a stream, each with its blank line and valid until yield returns, down
// to the one that tells all of it. It stops without an error where yield returns false. An error says that the answer
// is not complete, and that there was no event.
func Replay(answer []byte, yield func(event []byte) bool) error {
	if err := Complete(answer); err != nil {
		return fmt.Errorf("replaying an answer: %w", err)
	}
	answer = bytes.Clone(answer)
	oneLine(answer)
	r := replay{yield: yield}
	var output, status dialect.Raw
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "output":
			output = value
		case "status":
			status = value
		}
	}
	begun := dialect.Splice(nil, answer, dialect.Edit{Name: "output", Value: []byte("[]")}, dialect.Edit{Name: "status", Value: []byte(`"in_progress"`)},
		dialect.Edit{Name: "usage", Value: []byte("null")}, dialect.Edit{Name: "incomplete_details", Value: []byte("null")})
	r.send(r.answer(r.buf[:0], "response.created", begun))
	r.send(r.answer(r.buf[:0], "response.in_progress", begun))
	for item := range dialect.Elements(output) {
		r.tell(item)
	}
	r.send(r.answer(r.buf[:0], "response."+dialect.InsideOf(status).String(), answer))
	return nil
}

// replay is a stream in the making.
type replay struct {
	teller
	yield   func(event []byte) bool
	stopped bool
	buf     []byte
}

// send sends what an event became.
func (r *replay) send(event []byte) {
	r.buf = event
	if !r.stopped {
		r.stopped = !r.yield(event)
	}
}

// tell tells an item: one that we know piece by piece, any other at once.
func (r *replay) tell(item []byte) {
	kind := ""
	var content, summary []byte
	var arguments dialect.Inside
	r.id = []byte(`""`)
	for name, value := range dialect.Members(item) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "id":
			r.id = value
		case "content":
			content = value
		case "summary":
			summary = value
		case "arguments":
			arguments = dialect.InsideOf(value)
		}
	}
	running := dialect.Edit{Name: "status", Value: []byte(`"in_progress"`)}
	switch {
	case kind == "message" && content != nil:
		r.send(r.beginItem(r.buf[:0], dialect.Splice(nil, item, running, dialect.Edit{Name: "content", Value: []byte("[]")})))
		for part := range dialect.Elements(content) {
			r.contentPart(part)
		}
	case kind == "reasoning" && summary != nil:
		r.send(r.beginItem(r.buf[:0], dialect.Splice(nil, item, dialect.Edit{Name: "summary", Value: []byte("[]")}, dialect.Edit{Name: "content"})))
		for part := range dialect.Elements(summary) {
			r.summaryPart(part)
		}
	case kind == "function_call" && arguments != nil:
		r.send(r.beginItem(r.buf[:0], dialect.Splice(nil, item, running, dialect.Edit{Name: "arguments", Value: []byte(`""`)})))
		r.pieces(&wordsOfArguments, arguments)
	default:
		r.send(r.beginItem(r.buf[:0], item))
	}
	r.send(r.itemDone(r.buf[:0], item))
}

// contentPart tells a part of a message.
func (r *replay) contentPart(part []byte) {
	words, empty := &wordsOfText, dialect.Splice(nil, part, dialect.Edit{Name: "text", Value: []byte(`""`)},
		dialect.Edit{Name: "annotations", Value: []byte("[]")}, dialect.Edit{Name: "logprobs", Value: []byte("[]")})
	var text dialect.Inside
	var annotations []byte
	for name, value := range dialect.Members(part) {
		switch string(name) {
		case "text":
			text = dialect.InsideOf(value)
		case "refusal":
			words, text = &wordsOfRefusal, dialect.InsideOf(value)
			empty = dialect.Splice(nil, part, dialect.Edit{Name: "refusal", Value: []byte(`""`)})
		case "annotations":
			annotations = value
		}
	}
	if text == nil {
		words, empty = nil, part
	}
	r.send(r.content(r.buf[:0], "response.content_part.added", empty))
	if words != nil {
		r.deltas(words, text)
		n := 0
		for annotation := range dialect.Elements(annotations) {
			r.send(r.annotation(r.buf[:0], n, annotation))
			n++
		}
		r.send(r.textDone(r.buf[:0], words, text))
	}
	r.send(r.content(r.buf[:0], "response.content_part.done", part))
	r.part++
}

// summaryPart tells a part of a summary of thoughts.
func (r *replay) summaryPart(part []byte) {
	r.send(r.summary(r.buf[:0], "response.reasoning_summary_part.added", []byte(emptySummary)))
	for name, value := range dialect.Members(part) {
		if text := dialect.InsideOf(value); string(name) == "text" && text != nil {
			r.pieces(&wordsOfSummary, text)
		}
	}
	r.send(r.summary(r.buf[:0], "response.reasoning_summary_part.done", part))
	r.part++
}

// pieces tells a text piece by piece, and then all of it.
func (r *replay) pieces(w *wording, text dialect.Inside) {
	r.deltas(w, text)
	r.send(r.textDone(r.buf[:0], w, text))
}

func (r *replay) deltas(w *wording, text dialect.Inside) {
	for piece := range dialect.Pieces(text) {
		if r.stopped {
			return
		}
		r.send(r.delta(r.buf[:0], w, piece))
	}
}
