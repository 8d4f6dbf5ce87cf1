package openai

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Replay gives a whole chat completion as the events of a stream, each with its blank line and valid until
// yield returns, down to [DONE]. With includeUsage, there is an event for the usage as OpenAI has it. It stops
// without an error where yield returns false. An error says that the answer is not complete, and that there
// was no event.
func Replay(answer []byte, includeUsage bool, yield func(event []byte) bool) error {
	if err := Complete(answer); err != nil {
		return fmt.Errorf("replaying an answer: %w", err)
	}
	r := replay{yield: yield, answer: flatten(answer), tail: "]}\n\n"}
	r.begin(includeUsage)
	for name, value := range dialect.Members(r.answer) {
		if string(name) != "choices" {
			continue
		}
		for choice := range dialect.Elements(value) {
			r.choice(choice)
		}
	}
	if r.usage != nil {
		r.open()
		r.buf = append(r.buf, `],"usage":`...)
		r.buf = append(r.buf, r.usage...)
		r.buf = append(r.buf, "}\n\n"...)
		r.send()
	}
	r.buf = append(r.buf[:0], "data: [DONE]\n\n"...)
	r.send()
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
	answer  []byte
	head    []byte // what every event begins with, up to its choices
	once    []byte // members for the first event only
	tail    string // what every chunk ends with
	usage   []byte // nil where it is not wanted
	buf     []byte

	index    []byte // of the choice at hand
	logprobs bool   // the choice has the member logprobs
}

// begin reads the answer's own members. Those that we know are in every chunk, others are sent once.
func (r *replay) begin(includeUsage bool) {
	r.head = append(r.head, `data: {"object":"chat.completion.chunk",`...)
	for name, value := range dialect.Members(r.answer) {
		switch string(name) {
		case "object", "choices":
		case "usage":
			if includeUsage && string(value) != "null" {
				r.usage = value
			}
		case "id", "created", "model", "system_fingerprint", "service_tier":
			r.head = append(appendMember(r.head, name, value), ',')
		default:
			r.once = append(appendMember(r.once, name, value), ',')
		}
	}
	if includeUsage {
		r.tail = "],\"usage\":null}\n\n"
	}
}

func appendMember(dst, name, value []byte) []byte {
	dst = dialect.String(dst, string(name))
	dst = append(dst, ':')
	return append(dst, value...)
}

// open begins an event, up to the choices.
func (r *replay) open() {
	r.buf = append(r.buf[:0], r.head...)
	r.buf = append(r.buf, r.once...)
	r.buf = append(r.buf, `"choices":[`...)
	r.once = nil
}

// delta begins a chunk, up to its delta.
func (r *replay) delta() {
	r.open()
	r.buf = append(r.buf, `{"index":`...)
	r.buf = append(r.buf, r.index...)
	r.buf = append(r.buf, `,"delta":{`...)
}

// close ends a chunk from its delta's end on and sends it.
func (r *replay) close(logprobs, finish, rest []byte) {
	r.buf = append(r.buf, '}')
	if r.logprobs {
		r.buf = append(r.buf, `,"logprobs":`...)
		r.buf = append(r.buf, logprobs...)
	}
	r.buf = append(r.buf, `,"finish_reason":`...)
	r.buf = append(r.buf, finish...)
	r.buf = append(r.buf, rest...)
	r.buf = append(r.buf, '}')
	r.buf = append(r.buf, r.tail...)
	r.send()
}

var null = []byte("null")

// text sends a string in pieces; before and after enclose each one in the delta.
func (r *replay) text(before string, value []byte, after string) {
	for piece := range dialect.Pieces(value[1 : len(value)-1]) {
		if r.stopped {
			return
		}
		r.delta()
		r.buf = append(r.buf, before...)
		r.buf = append(r.buf, '"')
		r.buf = append(r.buf, piece...)
		r.buf = append(r.buf, '"')
		r.buf = append(r.buf, after...)
		r.close(null, null, nil)
	}
}

func (r *replay) send() {
	if !r.stopped {
		r.stopped = !r.yield(r.buf)
	}
}

func (r *replay) choice(choice []byte) {
	r.index, r.logprobs = []byte("0"), false
	var message, logprobs, finish, rest []byte
	for name, value := range dialect.Members(choice) {
		switch string(name) {
		case "index":
			r.index = value
		case "message":
			message = value
		case "logprobs":
			r.logprobs, logprobs = true, value
		case "finish_reason":
			finish = value
		default:
			rest = appendMember(append(rest, ','), name, value)
		}
	}
	r.message(message)
	if r.logprobs && string(logprobs) != "null" {
		r.delta()
		r.close(logprobs, null, nil)
	}
	r.delta()
	r.close(null, finish, rest)
}

// streamed names the strings of a message that are sent in pieces, in the order in which they are sent.
var streamed = [...]string{"reasoning_content", "reasoning", "content", "refusal"}

// message sends a message: first all that is not streamed, then what is, and the calls.
func (r *replay) message(message []byte) {
	var texts [len(streamed)][]byte
	var calls, function []byte
	r.delta()
	begin := len(r.buf)
	for name, value := range dialect.Members(message) {
		switch string(name) {
		case "tool_calls":
			calls = value
			continue
		case "function_call":
			if value[0] == '{' {
				function = value
				continue
			}
		}
		if i := slices.Index(streamed[:], string(name)); i >= 0 && value[0] == '"' {
			texts[i] = value
			if string(name) != "content" && len(value) > 2 {
				continue
			}
			value = []byte(`""`)
		}
		if len(r.buf) > begin {
			r.buf = append(r.buf, ',')
		}
		r.buf = appendMember(r.buf, name, value)
	}
	r.close(null, null, nil)
	for i, text := range texts {
		if text != nil {
			r.text(`"`+streamed[i]+`":`, text, "")
		}
	}
	i := 0
	for call := range dialect.Elements(calls) {
		r.toolCall(i, call)
		i++
	}
	if function != nil {
		r.function([]byte(`"function_call":`), `"function_call":`, function, "")
	}
}

func (r *replay) toolCall(i int, call []byte) {
	later := `"tool_calls":[{"index":` + strconv.Itoa(i)
	first := []byte(later)
	var function []byte
	for name, value := range dialect.Members(call) {
		switch {
		case string(name) == "index":
		case string(name) == "function" && value[0] == '{':
			function = value
		default:
			first = appendMember(append(first, ','), name, value)
		}
	}
	if function == nil {
		r.delta()
		r.buf = append(r.buf, first...)
		r.buf = append(r.buf, "}]"...)
		r.close(null, null, nil)
		return
	}
	r.function(append(first, `,"function":`...), later+`,"function":`, function, "}]")
}

// function sends a function's name, and then its arguments in pieces. In the first chunk, first is before the
// function, in the others it is later; after follows it in all.
func (r *replay) function(first []byte, later string, function []byte, after string) {
	r.delta()
	r.buf = append(r.buf, first...)
	r.buf = append(r.buf, '{')
	begin := len(r.buf)
	var arguments []byte
	for name, value := range dialect.Members(function) {
		if string(name) == "arguments" && value[0] == '"' {
			arguments, value = value, []byte(`""`)
		}
		if len(r.buf) > begin {
			r.buf = append(r.buf, ',')
		}
		r.buf = appendMember(r.buf, name, value)
	}
	r.buf = append(r.buf, '}')
	r.buf = append(r.buf, after...)
	r.close(null, null, nil)
	if arguments != nil {
		r.text(later+`{"arguments":`, arguments, "}"+after)
	}
}
