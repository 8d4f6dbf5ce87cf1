package anthropic

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Encoder writes the events of a message. Its content blocks follow each other, whatever the provider does.
type Encoder struct {
	sequencer dialect.Sequencer
	pass      func(*dialect.Event) // write, made once
	dst       []byte               // what write appends to

	next      int    // index of the block that starts next
	writing   bool   // the part at hand is a block
	signature []byte // of the part at hand, which clients do not join and so are told once

	finish       dialect.Finish
	stopSequence string
	refusal      []byte
	usage        dialect.Usage
}

// NewEncoder makes an encoder for one stream.
func NewEncoder() *Encoder {
	e := &Encoder{}
	e.pass = e.write
	return e
}

// Encode appends an event: see dialect.StreamEncoder.
func (e *Encoder) Encode(dst []byte, event *dialect.Event) []byte {
	e.dst = dst
	e.sequencer.Add(event, e.pass)
	dst, e.dst = e.dst, nil
	return dst
}

func (e *Encoder) write(event *dialect.Event) {
	if event.HasUsage {
		e.usage = event.Usage
	}
	switch event.Kind {
	case dialect.EventStart:
		e.begin("message_start", "message")
		e.dst = dialect.String(dialect.Member(append(e.dst, '{'), "id"), event.ID)
		e.dst = append(e.dst, `,"type":"message","role":"assistant","content":[]`...)
		e.dst = dialect.String(dialect.Member(e.dst, "model"), event.Model)
		e.dst = append(e.dst, `,"stop_reason":null,"stop_sequence":null`...)
		e.dst = append(AppendUsage(dialect.Member(e.dst, "usage"), e.usage), '}')
		e.end()
	case dialect.EventPartStart:
		e.partStart(event.Part)
	case dialect.EventDelta:
		e.delta(event)
	case dialect.EventSignature:
		if event.Of == dialect.PartReasoning && event.Signer == dialect.Anthropic {
			e.signature = append(e.signature, event.Text...)
		}
	case dialect.EventCitation:
		if event.Citation.Dialect == dialect.Anthropic || event.Citation.URL != "" {
			e.beginDelta("citations_delta", "citation")
			e.dst = append(appendCitation(e.dst, event.Citation), '}')
			e.end()
		}
	case dialect.EventPartEnd:
		e.partEnd()
	case dialect.EventFinish:
		e.finish, e.stopSequence = event.Finish, event.StopSequence
	case dialect.EventEnd:
		e.stop()
	case dialect.EventError:
		e.dst = AppendErrorEvent(e.dst, event.Err)
	}
}

// begin begins an event, up to the value of its first member beside the type.
func (e *Encoder) begin(kind, member string) {
	e.dst = append(e.dst, "event: "...)
	e.dst = append(e.dst, kind...)
	e.dst = append(e.dst, "\ndata: {\"type\":\""...)
	e.dst = append(e.dst, kind...)
	e.dst = append(e.dst, `","`...)
	e.dst = append(e.dst, member...)
	e.dst = append(e.dst, `":`...)
}

func (e *Encoder) end() { e.dst = append(e.dst, "}\n\n"...) }

// partStart begins a block; none where Anthropic's clients know none of the kind.
func (e *Encoder) partStart(part *dialect.Part) {
	switch part.Kind {
	case dialect.PartText, dialect.PartToolUse:
	case dialect.PartReasoning:
		if part.Redacted != nil && part.Signer != dialect.Anthropic {
			return
		}
	case dialect.PartOpaque:
		if part.Signer != dialect.Anthropic {
			return
		}
	default:
		return
	}
	e.writing = true
	e.begin("content_block_start", "index")
	e.dst = strconv.AppendInt(e.dst, int64(e.next), 10)
	e.next++
	e.dst = dialect.Member(e.dst, "content_block")
	switch part.Kind {
	case dialect.PartText:
		e.dst = append(e.dst, `{"type":"text","text":""}`...)
	case dialect.PartToolUse:
		e.dst = append(appendToolUse(append(e.dst, '{'), part, nil), '}')
	case dialect.PartReasoning:
		e.dst = append(appendThinking(append(e.dst, '{'), &dialect.Part{Redacted: part.Redacted}), '}')
	case dialect.PartOpaque:
		e.dst = append(e.dst, part.Raw...)
	}
	e.end()
}

func (e *Encoder) partEnd() {
	if e.writing {
		if len(e.signature) > 0 {
			e.blockDelta("signature_delta", "signature", e.signature)
		}
		e.begin("content_block_stop", "index")
		e.dst = strconv.AppendInt(e.dst, int64(e.next-1), 10)
		e.end()
	}
	e.writing, e.signature = false, e.signature[:0]
}

func (e *Encoder) delta(event *dialect.Event) {
	switch event.Of {
	case dialect.PartText:
		e.blockDelta("text_delta", "text", event.Text)
	case dialect.PartReasoning:
		e.blockDelta("thinking_delta", "thinking", event.Text)
	case dialect.PartToolUse:
		e.blockDelta("input_json_delta", "partial_json", event.Text)
	case dialect.PartRefusal:
		e.refusal = append(e.refusal, event.Text...)
	}
}

// blockDelta appends a delta of the block at hand.
func (e *Encoder) blockDelta(kind, member string, text dialect.Inside) {
	e.beginDelta(kind, member)
	e.dst = append(text.Quote(e.dst), '}')
	e.end()
}

// beginDelta begins a delta of the block at hand, up to the value of its member.
func (e *Encoder) beginDelta(kind, member string) {
	e.begin("content_block_delta", "index")
	e.dst = strconv.AppendInt(e.dst, int64(e.next-1), 10)
	e.dst = append(e.dst, `,"delta":{"type":"`...)
	e.dst = append(e.dst, kind...)
	e.dst = append(e.dst, `","`...)
	e.dst = append(e.dst, member...)
	e.dst = append(e.dst, `":`...)
}

// stop says why the answer is over and what it used, which providers tell last.
func (e *Encoder) stop() {
	e.begin("message_delta", "delta")
	e.dst = append(appendStop(append(e.dst, '{'), e.finish, e.stopSequence, e.refusal), '}')
	e.dst = AppendUsage(dialect.Member(e.dst, "usage"), e.usage)
	e.end()
	e.dst = append(e.dst, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}
