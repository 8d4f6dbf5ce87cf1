package anthropic

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Replay gives a whole message as the events of a stream, each with its blank line and valid until yield
// returns, down to message_stop. It stops without an error where yield returns false. An error says that the
// answer is not complete, and that there was no event.
func Replay(answer []byte, yield func(event []byte) bool) error {
	if err := Complete(answer); err != nil {
		return fmt.Errorf("replaying an answer: %w", err)
	}
	r := replay{yield: yield}
	r.message(flatten(answer))
	return nil
}

// flatten replaces line endings, which are white space in valid JSON and would end an event's line.
func flatten(answer []byte) []byte {
	if !bytes.ContainsAny(answer, "\r\n") {
		return answer
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, answer)
}

// replay is a stream in the making.
type replay struct {
	yield   func(event []byte) bool
	stopped bool
	buf     []byte
	index   int // of the block at hand
}

// message sends a message. What it says of its end comes at the end; its usage is told in full at both.
func (r *replay) message(answer []byte) {
	head, tail, usage := []byte{'{'}, []byte{'{'}, []byte("{}")
	var content []byte
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "content":
			content = value
		case "usage":
			usage = value
		case "stop_reason", "stop_sequence", "stop_details", "container":
			tail = append(dialect.Member(tail, string(name)), value...)
			head = append(dialect.Member(head, string(name)), "null"...)
		default:
			head = append(dialect.Member(head, string(name)), value...)
		}
	}
	head = append(dialect.Member(head, "content"), "[]"...)
	head = append(append(dialect.Member(head, "usage"), usage...), '}')
	r.begin("message_start", "message")
	r.send(append(r.buf, head...))
	for block := range dialect.Elements(content) {
		r.block(block)
		r.index++
	}
	r.begin("message_delta", "delta")
	r.buf = append(append(r.buf, tail...), '}')
	r.send(append(append(r.buf, `,"usage":`...), usage...))
	r.buf = append(r.buf[:0], "event: message_stop\ndata: {\"type\":\"message_stop\""...)
	r.send(r.buf)
}

// begin begins an event, up to the value of its first member beside the type.
func (r *replay) begin(kind, member string) {
	r.buf = append(append(r.buf[:0], "event: "...), kind...)
	r.buf = append(append(r.buf, "\ndata: {\"type\":\""...), kind...)
	r.buf = append(append(r.buf, `","`...), member...)
	r.buf = append(r.buf, `":`...)
}

// send ends an event and gives it.
func (r *replay) send(event []byte) {
	if r.buf = append(event, "}\n\n"...); !r.stopped {
		r.stopped = !r.yield(r.buf)
	}
}

// block sends a content block: without what comes in deltas first, and then that.
func (r *replay) block(block []byte) {
	start := []byte{'{'}
	var text, thinking, signature, input, citations []byte
	for name, value := range dialect.Members(block) {
		begins := value // what the block has of the member when it begins
		switch {
		case string(name) == "text" && value[0] == '"':
			text, begins = value, []byte(`""`)
		case string(name) == "thinking" && value[0] == '"':
			thinking, begins = value, []byte(`""`)
		case string(name) == "signature" && value[0] == '"':
			signature, begins = value, []byte(`""`)
		case string(name) == "citations" && value[0] == '[':
			citations, begins = value, []byte("[]")
		case string(name) == "input" && value[0] == '{':
			input, begins = value, []byte("{}")
		}
		start = append(dialect.Member(start, string(name)), begins...)
	}
	r.begin("content_block_start", "index")
	r.buf = append(strconv.AppendInt(r.buf, int64(r.index), 10), `,"content_block":`...)
	r.send(append(append(r.buf, start...), '}'))
	r.text("thinking_delta", "thinking", thinking)
	if len(signature) > len(`""`) {
		r.delta("signature_delta", "signature", signature) // whole, since clients do not join it
	}
	r.text("text_delta", "text", text)
	for citation := range dialect.Elements(citations) {
		r.delta("citations_delta", "citation", citation)
	}
	if len(input) > len("{}") {
		r.text("input_json_delta", "partial_json", dialect.Quote(nil, input))
	}
	r.begin("content_block_stop", "index")
	r.send(strconv.AppendInt(r.buf, int64(r.index), 10))
}

// text sends a string in pieces.
func (r *replay) text(kind, member string, value []byte) {
	for piece := range dialect.Pieces(dialect.InsideOf(value)) {
		if r.stopped {
			return
		}
		r.delta(kind, member, dialect.Inside(piece).Quote(nil))
	}
}

func (r *replay) delta(kind, member string, value []byte) {
	r.begin("content_block_delta", "index")
	r.buf = append(strconv.AppendInt(r.buf, int64(r.index), 10), `,"delta":{"type":"`...)
	r.buf = append(append(r.buf, kind...), `","`...)
	r.buf = append(append(r.buf, member...), `":`...)
	r.send(append(append(r.buf, value...), '}'))
}
