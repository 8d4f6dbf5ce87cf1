package openai

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Encoder writes a stream of chunks.
type Encoder struct {
	options dialect.StreamOptions
	head    []byte // what every chunk begins with, up to its choices

	calls   []sentCall
	details int          // signed thoughts so far
	thought dialect.Part // the thoughts at hand and their signature

	total, begin int // characters of all texts so far, and of those before the text at hand
	citations    []dialect.Citation

	usage    dialect.Usage
	hasUsage bool
}

// sentCall is a tool call that was begun, by its index among the calls.
type sentCall struct {
	part int  // index of the part
	told bool // its arguments were begun
}

// NewEncoder makes an encoder for one stream.
func NewEncoder(o dialect.StreamOptions) *Encoder { return &Encoder{options: o} }

// Encode appends an event as chunks: see dialect.StreamEncoder.
func (e *Encoder) Encode(dst []byte, event *dialect.Event) []byte {
	if event.HasUsage {
		e.usage, e.hasUsage = event.Usage, true
	}
	switch event.Kind {
	case dialect.EventStart:
		e.start(event)
		return e.close(append(e.delta(dst), `"role":"assistant","content":""`...), "null")
	case dialect.EventPartStart:
		return e.partStart(dst, event)
	case dialect.EventDelta:
		return e.text(dst, event)
	case dialect.EventSignature:
		if event.Of == dialect.PartReasoning {
			e.thought.Signer = event.Signer
			e.thought.Signature = append(e.thought.Signature, event.Text...)
		}
	case dialect.EventCitation:
		if c := event.Citation; c.URL != "" {
			e.citations = append(e.citations, dialect.Citation{URL: c.URL, Title: c.Title, Start: c.Start, End: c.End})
		}
	case dialect.EventPartEnd:
		return e.partEnd(dst, event)
	case dialect.EventFinish:
		return e.close(e.delta(dst), `"`+finishReason(event.Finish)+`"`)
	case dialect.EventError:
		return AppendErrorEvent(dst, event.Err)
	case dialect.EventEnd:
		return e.end(dst)
	}
	return dst
}

func (e *Encoder) start(event *dialect.Event) {
	created := event.Created
	if created == 0 && !e.options.Created.IsZero() {
		created = e.options.Created.Unix()
	}
	dst := append(e.head[:0], `data: {`...)
	dst = dialect.String(dialect.Member(dst, "id"), event.ID)
	dst = dialect.TextMember(dst, "object", "chat.completion.chunk")
	dst = dialect.IntMember(dst, "created", created)
	dst = dialect.String(dialect.Member(dst, "model"), event.Model)
	e.head = append(dialect.Member(dst, "choices"), '[')
}

// delta begins a chunk, up to the members of its delta.
func (e *Encoder) delta(dst []byte) []byte {
	dst = append(dst, e.head...)
	return append(dst, `{"index":0,"delta":{`...)
}

// close ends a chunk from its delta's end on.
func (e *Encoder) close(dst []byte, finish string) []byte {
	dst = append(dst, `},"finish_reason":`...)
	dst = append(dst, finish...)
	dst = append(dst, "}]"...)
	if e.options.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// partStart tells of a tool call, or of thoughts that are redacted. Other parts begin with their text.
func (e *Encoder) partStart(dst []byte, event *dialect.Event) []byte {
	part := event.Part
	switch {
	case part.Kind == dialect.PartText:
		e.begin = e.total
	case part.Kind == dialect.PartToolUse:
		dst = e.callHead(dst, len(e.calls))
		e.calls = append(e.calls, sentCall{part: event.Index})
		dst = dialect.String(dialect.Member(dst, "id"), part.ID)
		dst = append(dst, `,"type":"function","function":{`...)
		dst = dialect.String(dialect.Member(dst, "name"), part.Name)
		dst = append(dst, `,"arguments":""}`...)
		dst = appendThoughtSignature(dst, part)
		return e.close(append(dst, "}]"...), "null")
	case part.Kind == dialect.PartReasoning && part.Redacted != nil:
		dst = append(dialect.Member(e.delta(dst), "reasoning_details"), '[')
		dst = appendDetail(dst, part, e.details)
		e.details++
		return e.close(append(dst, ']'), "null")
	}
	return dst
}

// callHead begins a chunk with a fragment of a call, up to its other members.
func (e *Encoder) callHead(dst []byte, index int) []byte {
	dst = append(dialect.Member(e.delta(dst), "tool_calls"), `[{"index":`...)
	return strconv.AppendInt(dst, int64(index), 10)
}

func (e *Encoder) text(dst []byte, event *dialect.Event) []byte {
	switch event.Of {
	case dialect.PartText:
		e.total += event.Text.Characters()
		dst = dialect.InsideMember(e.delta(dst), "content", event.Text)
	case dialect.PartReasoning:
		e.thought.Text = append(e.thought.Text, event.Text...)
		dst = dialect.InsideMember(e.delta(dst), "reasoning_content", event.Text)
	case dialect.PartRefusal:
		dst = dialect.InsideMember(e.delta(dst), "refusal", event.Text)
	case dialect.PartToolUse:
		return e.arguments(dst, e.callOf(event.Index), event.Text)
	default:
		return dst
	}
	return e.close(dst, "null")
}

func (e *Encoder) arguments(dst []byte, call int, fragment dialect.Inside) []byte {
	e.calls[call].told = true
	dst = append(e.callHead(dst, call), `,"function":{`...)
	dst = append(dialect.InsideMember(dst, "arguments", fragment), "}}]"...)
	return e.close(dst, "null")
}

// callOf is the index of the call that a part is. Calls are few, and the last one is the likeliest.
func (e *Encoder) callOf(part int) int {
	i := len(e.calls) - 1
	for i > 0 && e.calls[i].part != part {
		i--
	}
	return i
}

// partEnd tells what is known only now: the signature of thoughts, the pages that a text cites, and that a tool
// takes no arguments.
func (e *Encoder) partEnd(dst []byte, event *dialect.Event) []byte {
	switch {
	case event.Of == dialect.PartReasoning:
		return e.thoughtEnd(dst)
	case event.Of == dialect.PartText && len(e.citations) > 0:
		dst = append(dialect.Member(e.delta(dst), "annotations"), '[')
		for i := range e.citations {
			dst = appendAnnotation(dialect.Element(dst), &e.citations[i], e.begin, e.total-e.begin)
		}
		e.citations = e.citations[:0]
		return e.close(append(dst, ']'), "null")
	case event.Of == dialect.PartToolUse:
		if call := e.callOf(event.Index); !e.calls[call].told {
			return e.arguments(dst, call, dialect.Inside("{}"))
		}
	}
	return dst
}

// thoughtEnd tells signed thoughts once more, with their signature: what a client is to send back is in one place.
func (e *Encoder) thoughtEnd(dst []byte) []byte {
	if len(e.thought.Signature) > 0 {
		dst = append(dialect.Member(e.delta(dst), "reasoning_details"), '[')
		dst = append(appendDetail(dst, &e.thought, e.details), ']')
		dst = e.close(dst, "null")
		e.details++
	}
	e.thought.Text, e.thought.Signature = e.thought.Text[:0], e.thought.Signature[:0]
	return dst
}

// end tells the usage, to who asked for it, and closes the stream.
func (e *Encoder) end(dst []byte) []byte {
	if e.options.IncludeUsage && e.hasUsage {
		dst = append(dst, e.head...)
		dst = AppendUsage(append(dst, `],"usage":`...), e.usage)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}
