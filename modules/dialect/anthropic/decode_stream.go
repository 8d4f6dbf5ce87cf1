package anthropic

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Decoder reads the events of a message.
type Decoder struct {
	event dialect.Event
	part  dialect.Part
	yield func(*dialect.Event)

	counts   counts
	started  bool
	finished bool // a stop_reason came
	ended    bool // nothing more will be given

	next   int // index of the part that starts next
	blocks []openBlock
}

// openBlock is a content block that has not ended.
type openBlock struct {
	index int // Anthropic's
	part  int
	of    dialect.PartKind
}

// NewDecoder makes a decoder for one stream.
func NewDecoder() *Decoder { return &Decoder{} }

// Decode reads the data of one event: see dialect.StreamDecoder. The data says of which type the event is.
func (d *Decoder) Decode(data []byte, yield func(*dialect.Event)) error {
	if d.ended {
		return nil
	}
	d.yield = yield
	if err := dialect.Check(data); err != nil {
		return err
	}
	d.read(data)
	return nil
}

// End says that the stream is over. Without message_stop, an answer that told why it stopped is complete all the same.
func (d *Decoder) End(yield func(*dialect.Event)) {
	switch d.yield = yield; {
	case d.ended:
	case d.finished:
		d.end()
	default:
		d.fail(dialect.BrokenOff())
	}
}

func (d *Decoder) give(event dialect.Event) {
	d.event = event
	d.yield(&d.event)
}

func (d *Decoder) fail(err *dialect.Error) {
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventError, Err: err})
}

func (d *Decoder) end() {
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventEnd})
}

// streamEvent holds the members of an event, as they are written; nil where they are missing.
type streamEvent struct {
	kind                         dialect.Inside
	index                        int
	message, block, delta, usage []byte
}

func readEvent(data []byte) (e streamEvent) {
	e.index = -1
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "type":
			e.kind = dialect.InsideOf(value)
		case "index":
			if n, err := strconv.Atoi(string(value)); err == nil {
				e.index = n
			}
		case "message":
			e.message = value
		case "content_block":
			e.block = value
		case "delta":
			e.delta = value
		case "usage":
			e.usage = value
		}
	}
	return e
}

// read gives what an event tells. Types that we do not know are ignored, as Anthropic asks for.
func (d *Decoder) read(data []byte) {
	e := readEvent(data)
	switch string(e.kind) {
	case "message_start":
		d.start(e.message)
	case "content_block_start":
		if d.started && e.block != nil {
			d.blockStart(e.index, readBlock(e.block), e.block)
		}
	case "content_block_delta":
		if b := d.block(e.index); b != nil {
			d.delta(b, e.delta)
		}
	case "content_block_stop":
		if b := d.block(e.index); b != nil {
			d.blockStop(*b)
		}
	case "message_delta":
		if d.started {
			d.messageDelta(e)
		}
	case "message_stop":
		if !d.started {
			d.fail(dialect.BrokenOff())
			return
		}
		d.finish(dialect.FinishUnknown, "")
		d.end()
	case "error":
		err := ParseError(StatusOf(data), func(string) string { return "" }, data)
		err.Retryable = false
		d.fail(err)
	}
}

func (d *Decoder) start(message []byte) {
	if d.started {
		return
	}
	d.started = true
	event := dialect.Event{Kind: dialect.EventStart}
	for name, value := range dialect.Members(message) {
		switch string(name) {
		case "id":
			event.ID, _ = dialect.Text(value)
		case "model":
			event.Model, _ = dialect.Text(value)
		case "usage":
			d.counts.add(value)
		}
	}
	event.Usage, event.HasUsage = d.counts.usage()
	d.give(event)
}

// block finds the block of an index that is open; nil where none is.
func (d *Decoder) block(index int) *openBlock {
	for i := range d.blocks {
		if d.blocks[i].index == index {
			return &d.blocks[i]
		}
	}
	return nil
}

// blockStart begins a part, with what the block holds already.
func (d *Decoder) blockStart(index int, b block, raw []byte) {
	d.part = decodeKnown(b)
	switch d.part.Kind {
	case 0:
		d.part = dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Anthropic, Raw: raw}
	case dialect.PartText, dialect.PartReasoning, dialect.PartToolUse:
	default: // what models do not say
		return
	}
	held := d.part
	d.part.Text, d.part.Citations, d.part.Arguments = nil, nil, nil
	if held.Redacted == nil {
		d.part.Signature, d.part.Signer = nil, held.Signer
	}
	open := openBlock{index: index, part: d.next, of: held.Kind}
	d.next++
	d.blocks = append(d.blocks, open)
	d.give(dialect.Event{Kind: dialect.EventPartStart, Index: open.part, Of: open.of, Part: &d.part})
	d.text(&open, held.Text)
	if held.Kind == dialect.PartToolUse && string(held.Arguments) != "{}" {
		d.text(&open, dialect.InsideOf(dialect.Quote(nil, held.Arguments)))
	}
	d.signature(&open, held.Signature)
	for i := range held.Citations {
		d.citation(&open, &held.Citations[i])
	}
}

func (d *Decoder) text(b *openBlock, text dialect.Inside) {
	if len(text) > 0 {
		d.give(dialect.Event{Kind: dialect.EventDelta, Index: b.part, Of: b.of, Text: text})
	}
}

func (d *Decoder) signature(b *openBlock, signature dialect.Inside) {
	if len(signature) > 0 {
		d.give(dialect.Event{Kind: dialect.EventSignature, Index: b.part, Of: b.of, Text: signature, Signer: dialect.Anthropic})
	}
}

func (d *Decoder) citation(b *openBlock, c *dialect.Citation) {
	d.give(dialect.Event{Kind: dialect.EventCitation, Index: b.part, Of: b.of, Citation: c})
}

// delta gives what a delta adds to a block. Deltas of a type that does not fit the block, or that we do not
// know, are ignored.
func (d *Decoder) delta(b *openBlock, delta []byte) {
	var kind dialect.Inside
	var value []byte
	for name, v := range dialect.Members(delta) {
		switch string(name) {
		case "type":
			kind = dialect.InsideOf(v)
		case "text", "thinking", "partial_json", "signature", "citation":
			value = v
		}
	}
	if value == nil {
		return
	}
	of := dialect.PartOpaque // whose deltas we do not know either
	switch string(kind) {
	case "text_delta", "citations_delta":
		of = dialect.PartText
	case "thinking_delta", "signature_delta":
		of = dialect.PartReasoning
	case "input_json_delta":
		of = dialect.PartToolUse
	}
	switch {
	case of != b.of || of == dialect.PartOpaque:
	case string(kind) == "citations_delta":
		c := decodeCitation(value)
		d.citation(b, &c)
	case string(kind) == "signature_delta":
		d.signature(b, dialect.InsideOf(value))
	default:
		d.text(b, dialect.InsideOf(value))
	}
}

func (d *Decoder) blockStop(b openBlock) {
	for i := range d.blocks {
		if d.blocks[i] == b {
			d.blocks = append(d.blocks[:i], d.blocks[i+1:]...)
			break
		}
	}
	d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: b.part, Of: b.of})
}

func (d *Decoder) messageDelta(e streamEvent) {
	var f dialect.Finish
	var sequence string
	var refusal dialect.Inside
	for name, value := range dialect.Members(e.delta) {
		switch string(name) {
		case "stop_reason":
			f = finishOf(value)
		case "stop_sequence":
			sequence, _ = dialect.Text(value)
		case "stop_details":
			refusal = explanation(value)
		}
	}
	if f != dialect.FinishNone {
		d.refusal(refusal)
		d.finish(f, sequence)
	}
	if d.counts.add(e.usage); e.usage != nil {
		u, told := d.counts.usage()
		d.give(dialect.Event{Kind: dialect.EventUsage, Usage: u, HasUsage: told})
	}
}

// refusal gives the explanation of a refusal as a part, which it is in other dialects.
func (d *Decoder) refusal(text dialect.Inside) {
	if len(text) == 0 || d.finished {
		return
	}
	d.closeBlocks()
	d.part = dialect.Part{Kind: dialect.PartRefusal}
	b := openBlock{part: d.next, of: dialect.PartRefusal}
	d.next++
	d.give(dialect.Event{Kind: dialect.EventPartStart, Index: b.part, Of: b.of, Part: &d.part})
	d.text(&b, text)
	d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: b.part, Of: b.of})
}

func (d *Decoder) closeBlocks() {
	for len(d.blocks) > 0 {
		d.blockStop(d.blocks[0])
	}
}

// finish ends all parts and says why the answer is over, once.
func (d *Decoder) finish(f dialect.Finish, stopSequence string) {
	if d.finished {
		return
	}
	d.finished = true
	d.closeBlocks()
	d.give(dialect.Event{Kind: dialect.EventFinish, Finish: f, StopSequence: stopSequence})
}
