package responses

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Members of an item that has just begun.
const (
	emptyText    = `{"type":"output_text","annotations":[],"logprobs":[],"text":""}`
	emptyRefusal = `{"type":"refusal","refusal":""}`
	emptySummary = `{"type":"summary_text","text":""}`
)

func (e *Encoder) last() *dialect.Part { return &e.parts[len(e.parts)-1] }

// partStart begins an item, or one more part of the message at hand. Of what clients know no item for, nothing is told.
func (e *Encoder) partStart(part *dialect.Part) {
	if isForeign(*part) {
		return
	}
	if !inMessage(part.Kind) {
		e.endMessage(completed)
	}
	own := dialect.Part{Kind: part.Kind, ID: part.ID, Name: part.Name, Signer: part.Signer,
		Signature: bytes.Clone(part.Signature), Redacted: bytes.Clone(part.Redacted)}
	switch {
	case inMessage(part.Kind):
		if !e.inItem {
			e.beginOf(messagePrefix, appendMessage(nil, e.nextID(messagePrefix), inProgress, nil, nil))
		}
		empty := emptyText
		if part.Kind == dialect.PartRefusal {
			empty = emptyRefusal
		}
		e.dst = e.content(e.dst, "response.content_part.added", []byte(empty))
	case part.Kind == dialect.PartReasoning:
		e.beginOf(reasoningPrefix, appendReasoning(nil, e.nextID(reasoningPrefix), &dialect.Part{}))
	default:
		if signsCall(part) {
			sealed := appendReasoning(nil, e.nextID(reasoningPrefix), part)
			e.beginOf(reasoningPrefix, sealed)
			e.endItem(sealed)
		}
		e.beginOf(callPrefix, appendCall(nil, e.nextID(callPrefix), inProgress, &own, dialect.Inside{}))
	}
	e.parts, e.open = append(e.parts, own), true
}

// nextID is the id of the item at hand, or of the one that begins next.
func (e *Encoder) nextID(prefix string) []byte { return appendItemID(nil, prefix, e.answerID, e.item) }

// beginOf begins an item.
func (e *Encoder) beginOf(prefix string, item []byte) {
	e.inItem, e.id = true, e.nextID(prefix)
	e.dst = e.beginItem(e.dst, item)
}

// endItem tells an item that is whole, and keeps it.
func (e *Encoder) endItem(item []byte) {
	if len(e.output) > 0 {
		e.output = append(e.output, ',')
	}
	e.output = append(e.output, item...)
	e.dst = e.itemDone(e.dst, item)
	e.inItem, e.parts = false, e.parts[:0]
}

// more tells a fragment.
func (e *Encoder) more(event *dialect.Event) {
	if !e.open {
		return
	}
	part := e.last()
	if part.Kind == dialect.PartReasoning && len(part.Text) == 0 {
		e.dst = e.summary(e.dst, "response.reasoning_summary_part.added", []byte(emptySummary))
	}
	part.Text = append(part.Text, event.Text...)
	e.dst = e.delta(e.dst, wordingOf(part.Kind), event.Text)
}

func wordingOf(k dialect.PartKind) *wording {
	switch k {
	case dialect.PartRefusal:
		return &wordsOfRefusal
	case dialect.PartReasoning:
		return &wordsOfSummary
	case dialect.PartToolUse:
		return &wordsOfArguments
	}
	return &wordsOfText
}

// partEnd tells a part that is whole, and the item where that is all of it.
func (e *Encoder) partEnd() {
	if !e.open {
		return
	}
	e.open = false
	switch part := e.last(); part.Kind {
	case dialect.PartReasoning:
		if len(part.Text) > 0 {
			e.dst = e.textDone(e.dst, &wordsOfSummary, part.Text)
			e.dst = e.summary(e.dst, "response.reasoning_summary_part.done", appendSummary(nil, part.Text))
		}
		e.endItem(appendReasoning(nil, e.id, part))
	case dialect.PartToolUse:
		if len(part.Text) == 0 {
			part.Text = dialect.Inside("{}")
			e.dst = e.delta(e.dst, &wordsOfArguments, part.Text)
		}
		e.dst = e.textDone(e.dst, &wordsOfArguments, part.Text)
		e.endItem(appendCall(nil, e.id, callStatus(part.Text), part, part.Text))
	default:
		for i := range part.Citations {
			e.dst = e.annotation(e.dst, i, appendAnnotation(nil, &part.Citations[i], part.Text.Characters()))
		}
		e.dst = e.textDone(e.dst, wordingOf(part.Kind), part.Text)
		e.dst = e.content(e.dst, "response.content_part.done", appendContent(nil, part, nil))
		e.part++
	}
}

// endMessage tells the message at hand, if there is one.
func (e *Encoder) endMessage(status string) {
	if e.inItem {
		e.endItem(appendMessage(nil, e.id, status, e.parts, nil))
	}
}
