package gemini

import (
	"bytes"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Replay gives a whole response as the events of a stream, each with its blank line and valid until yield returns.
// It stops without an error where yield returns false. An error says that the answer is not complete, and that
// there was no event.
func Replay(answer []byte, yield func(event []byte) bool) error {
	if err := Complete(answer); err != nil {
		return fmt.Errorf("replaying an answer: %w", err)
	}
	if bytes.ContainsAny(answer, "\r\n") {
		answer = bytes.Clone(answer)
		flatten(answer)
	}
	r := replay{yield: yield}
	r.response(answer)
	return nil
}

// replay is a stream in the making.
type replay struct {
	yield   func(event []byte) bool
	stopped bool
	buf     []byte
	head    []byte // members of the response that every event has
	index   []byte // of the candidate at hand; nil where it has none
	role    []byte // of its content
}

// response sends a response: its parts first, and with an event at the end of each candidate what is known of it
// then. The last event tells what is known of the whole, such as the usage, and has a candidate where there is one, as
// clients expect of every event.
func (r *replay) response(answer []byte) {
	var candidates []byte
	tail := []byte{'{'}
	r.head = []byte{'{'}
	for name, value := range fields(answer) {
		switch string(name) {
		case "candidates":
			candidates = value
		case "modelVersion", "responseId", "createTime":
			r.head = append(dialect.Member(r.head, string(name)), value...)
		default:
			tail = append(dialect.Member(tail, string(name)), value...)
		}
	}
	var last []byte
	for raw := range dialect.Elements(list(candidates)) {
		if last != nil {
			r.candidate(last, nil)
		}
		last = raw
	}
	if last != nil {
		r.candidate(last, tail[1:])
		return
	}
	r.buf = append(append(r.buf[:0], "data: "...), r.head...)
	if len(r.head) > 1 && len(tail) > 1 {
		r.buf = append(r.buf, ',')
	}
	r.buf = append(r.buf, tail[1:]...)
	r.send()
}

// candidate sends a candidate: an event for each piece of its parts, and one that says why it ended, with the members
// that tail has.
func (r *replay) candidate(raw, tail []byte) {
	end := []byte{'{'}
	var content []byte
	r.index, r.role = nil, nil
	for name, value := range fields(raw) {
		switch string(name) {
		case "content":
			content = value
			continue
		case "index":
			r.index = value
		}
		end = append(dialect.Member(end, string(name)), value...)
	}
	var parts []byte
	rest := []byte{'{'}
	for name, value := range fields(content) {
		switch string(name) {
		case "parts":
			parts = value
			continue
		case "role":
			r.role = value
		}
		rest = append(dialect.Member(rest, string(name)), value...)
	}
	for raw := range dialect.Elements(list(parts)) {
		r.part(raw)
	}
	r.begin()
	if len(rest) > 1 {
		end = append(append(dialect.Member(end, "content"), rest...), '}')
	}
	r.buf = append(append(r.buf, end...), "}]"...)
	if len(tail) > 0 {
		r.buf = append(append(r.buf, ','), tail...)
	}
	r.send()
}

// begin begins an event, up to its candidate.
func (r *replay) begin() {
	r.buf = append(append(r.buf[:0], "data: "...), r.head...)
	r.buf = append(dialect.Member(r.buf, "candidates"), '[')
}

// send ends an event and gives it.
func (r *replay) send() {
	if r.buf = append(r.buf, "}\n\n"...); !r.stopped {
		r.stopped = !r.yield(r.buf)
	}
}

// part sends a part: a text in pieces, with its signature at the last of them, all else as it is.
func (r *replay) part(raw []byte) {
	p := readPart(raw)
	if !p.plain() {
		r.piece(raw)
		return
	}
	sent := dialect.Inside(nil)
	begun := false
	for piece := range dialect.Pieces(p.text) {
		if r.stopped {
			return
		}
		if begun {
			r.text(&p, sent, nil)
		}
		sent, begun = piece, true
	}
	r.text(&p, sent, p.signature)
}

func (r *replay) text(p *wirePart, text, signature dialect.Inside) {
	part := text.Quote([]byte(`{"text":`))
	if p.thought {
		part = append(part, `,"thought":true`...)
	}
	r.piece(append(dialect.InsideMember(part, "thoughtSignature", signature), '}'))
}

// piece sends an event with one part.
func (r *replay) piece(part []byte) {
	r.begin()
	r.buf = append(append(r.buf, `{"content":{"parts":[`...), part...)
	r.buf = append(r.buf, ']')
	if r.role != nil {
		r.buf = append(dialect.Member(r.buf, "role"), r.role...)
	}
	r.buf = append(r.buf, '}')
	if r.index != nil {
		r.buf = append(dialect.Member(r.buf, "index"), r.index...)
	}
	r.buf = append(r.buf, "}]"...)
	r.send()
}
