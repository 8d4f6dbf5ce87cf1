package gemini

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Encoder writes the events of a stream. Its parts follow each other, and calls are in one piece, whatever the
// provider does.
type Encoder struct {
	sequencer dialect.Sequencer
	pass      func(*dialect.Event) // write, made once
	dst       []byte               // what write appends to
	tail      []byte               // the members that every event ends with

	part      dialect.Part // of a call or thoughts, until they end
	arguments []byte       // of a call, as the inside of a string
	signature []byte       // of the part at hand
	signer    dialect.Name

	finish   dialect.Finish
	refusal  []byte
	pages    []cited
	grounded int // pages that were told
	told     int // bytes of text
	began    int // bytes of text before the part at hand
	usage    dialect.Usage
	hasUsage bool
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
		e.usage, e.hasUsage = event.Usage, true
	}
	switch event.Kind {
	case dialect.EventStart:
		e.tail = dialect.String(append(e.tail, `,"modelVersion":`...), event.Model)
		e.tail = dialect.String(append(e.tail, `,"responseId":`...), event.ID)
	case dialect.EventPartStart:
		e.part = *event.Part
		e.part.Raw, e.part.Redacted, e.part.Signature = bytes.Clone(e.part.Raw), bytes.Clone(e.part.Redacted), bytes.Clone(e.part.Signature)
		e.arguments, e.signature, e.signer, e.began = e.arguments[:0], e.signature[:0], "", e.told
	case dialect.EventDelta:
		e.delta(event)
	case dialect.EventSignature:
		e.signature, e.signer = append(e.signature, event.Text...), event.Signer
	case dialect.EventCitation:
		if c := event.Citation; c.URL != "" {
			e.pages = append(e.pages, cited{url: c.URL, title: c.Title, start: e.began})
		}
	case dialect.EventPartEnd:
		e.partEnd(event.Of)
	case dialect.EventFinish:
		e.finish = event.Finish
	case dialect.EventEnd:
		e.stop()
	case dialect.EventError:
		e.dst = AppendErrorEvent(e.dst, event.Err)
	}
}

// begin begins an event, up to its part.
func (e *Encoder) begin() { e.dst = append(e.dst, `data: {"candidates":[{"content":{"parts":[`...) }

// end ends an event after its part.
func (e *Encoder) end() {
	e.dst = append(e.dst, `],"role":"model"},"index":0}]`...)
	e.dst = append(append(e.dst, e.tail...), "}\n\n"...)
}

func (e *Encoder) delta(event *dialect.Event) {
	switch event.Of {
	case dialect.PartText, dialect.PartReasoning:
		e.begin()
		e.dst = event.Text.Quote(append(e.dst, `{"text":`...))
		if event.Of == dialect.PartReasoning {
			e.dst = append(e.dst, `,"thought":true`...)
		} else {
			e.told += event.Text.Len()
		}
		e.dst = append(e.dst, '}')
		e.end()
	case dialect.PartToolUse:
		e.arguments = append(e.arguments, event.Text...)
	case dialect.PartRefusal:
		e.refusal = append(e.refusal, event.Text...)
	}
}

// partEnd tells what comes at a part's end: a call, a signature, what a text rests on.
func (e *Encoder) partEnd(of dialect.PartKind) {
	e.ground()
	part := e.part
	part.Text = nil
	if e.signer != "" {
		part.Signature, part.Signer = e.signature, e.signer
	}
	switch of {
	case dialect.PartText, dialect.PartReasoning:
		if mark, rest := signatureOf(&part); rest == nil || of == dialect.PartText && mark != "" {
			return
		}
	case dialect.PartToolUse:
		if part.Arguments = dialect.Inside(e.arguments).Unescape(nil); !whole(part.Arguments) {
			return // cut by a bound on tokens
		}
	}
	before := len(e.dst)
	e.begin()
	empty := len(e.dst)
	if e.dst = appendSaid(e.dst, &part); len(e.dst) == empty {
		e.dst = e.dst[:before]
		return
	}
	flatten(e.dst[empty:])
	e.end()
}

// ground tells what the text rests on that has ended, which may have come before it. As with Google, it is told
// together with all of it that was told before.
func (e *Encoder) ground() {
	if e.grounded == len(e.pages) {
		return
	}
	for i := e.grounded; i < len(e.pages); i++ {
		e.pages[i].end = e.told
	}
	e.grounded = len(e.pages)
	e.begin()
	e.dst = append(e.dst, `{"text":""}],"role":"model"}`...)
	e.dst = append(appendGrounding(e.dst, e.pages), `,"index":0}]`...)
	e.dst = append(append(e.dst, e.tail...), "}\n\n"...)
}

// stop says why the answer is over and what it used.
func (e *Encoder) stop() {
	e.begin()
	e.dst = append(e.dst, `{"text":""}],"role":"model"}`...)
	e.dst = append(appendEnd(e.dst, e.finish, e.refusal), `,"index":0}]`...)
	if e.hasUsage {
		e.dst = AppendUsage(dialect.Member(e.dst, "usageMetadata"), e.usage)
	}
	e.dst = append(append(e.dst, e.tail...), "}\n\n"...)
}
