package openai

import (
	"bytes"
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Decoder reads the chunks of a chat completion. Of several choices it reads the first.
type Decoder struct {
	event dialect.Event
	part  dialect.Part
	yield func(*dialect.Event)

	id       string
	started  bool
	finished bool // a finish_reason came
	ended    bool // nothing more will be given

	next  int // index of the part that starts next
	text  int // index of the text, thoughts or refusal that is open; -1 where none is
	of    dialect.PartKind
	calls []streamCall
}

// NewDecoder makes a decoder for one stream.
func NewDecoder() *Decoder { return &Decoder{text: -1} }

// Decode reads the data of one event: see dialect.StreamDecoder.
func (d *Decoder) Decode(data []byte, yield func(*dialect.Event)) error {
	if d.ended {
		return nil
	}
	d.yield = yield
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		d.done(d.started)
		return nil
	}
	if err := dialect.Check(data); err != nil {
		return err
	}
	d.chunk(data)
	return nil
}

// End says that the stream is over. Without [DONE], an answer that told why it finished is complete all the same.
func (d *Decoder) End(yield func(*dialect.Event)) {
	if !d.ended {
		d.yield = yield
		d.done(d.finished)
	}
}

func (d *Decoder) done(complete bool) {
	if !complete {
		d.fail(dialect.BrokenOff())
		return
	}
	d.finish(dialect.FinishUnknown)
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventEnd})
}

func (d *Decoder) fail(err *dialect.Error) {
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventError, Err: err})
}

func (d *Decoder) give(event dialect.Event) {
	d.event = event
	d.yield(&d.event)
}

func (d *Decoder) chunk(data []byte) {
	var id, model, created, choice []byte
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "id":
			id = value
		case "model":
			model = value
		case "created":
			created = value
		case "error":
			if string(value) != "null" {
				err := ParseError(http.StatusBadGateway, func(string) string { return "" }, data)
				err.Retryable = false
				d.fail(err)
				return
			}
		case "choices":
			choice = firstChoice(value)
		}
	}
	if !d.started && (choice != nil || len(id) > len(`""`)) {
		d.start(id, model, created)
	}
	if choice != nil && !d.finished {
		d.choice(choice)
	}
	if u, ok := UsageOf(data); ok && d.started && !d.ended {
		d.give(dialect.Event{Kind: dialect.EventUsage, Usage: u, HasUsage: true})
	}
}

// firstChoice finds the choice with the index 0, or with none.
func firstChoice(choices []byte) []byte {
	for choice := range dialect.Elements(choices) {
		if index, _, err := indexOf(choice, maxChoiceIndex); err == nil && index == 0 {
			return choice
		}
	}
	return nil
}

func (d *Decoder) start(id, model, created []byte) {
	d.started = true
	event := dialect.Event{Kind: dialect.EventStart}
	event.ID, _ = dialect.Text(id)
	event.Model, _ = dialect.Text(model)
	seconds, _ := dialect.Raw(created).Number()
	event.Created = int64(seconds)
	d.id = event.ID
	d.give(event)
}

func (d *Decoder) choice(choice []byte) {
	var finish []byte
	var m message
	for name, value := range dialect.Members(choice) {
		switch string(name) {
		case "delta":
			m = readMessage(value)
		case "finish_reason":
			finish = value
		}
	}
	d.thoughts(m)
	d.delta(dialect.PartText, m.content)
	d.citations(m.annotations)
	d.delta(dialect.PartRefusal, m.refusal)
	for call := range dialect.Elements(m.calls) {
		d.call(call)
	}
	switch f := finishOf(finish); f {
	case dialect.FinishNone:
	case dialect.FinishError:
		d.fail(&dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider failed in the middle of its answer"})
	default:
		d.finish(f)
	}
}

// thoughts gives a fragment of thoughts, and the signature or the redacted thoughts that may come with it.
func (d *Decoder) thoughts(m message) {
	d.delta(dialect.PartReasoning, m.reasoning)
	for detail := range dialect.Elements(m.details) {
		part := decodeDetail(detail)
		switch {
		case part.Redacted != nil:
			d.closeText()
			d.startPart(part)
			d.endPart(d.next-1, dialect.PartReasoning)
		case part.Signature != nil:
			d.openText(dialect.PartReasoning)
			d.give(dialect.Event{Kind: dialect.EventSignature, Index: d.text, Of: d.of, Text: part.Signature, Signer: part.Signer})
		}
	}
}

// citations gives what the text that is open cites. The words that are cited are not told: they have passed.
func (d *Decoder) citations(annotations []byte) {
	if d.text < 0 || d.of != dialect.PartText {
		return
	}
	for _, c := range decodeAnnotations(annotations, nil) {
		d.give(dialect.Event{Kind: dialect.EventCitation, Index: d.text, Of: d.of, Citation: &c})
	}
}

// delta gives a fragment of a text. An empty one, as comes along with everything else, begins nothing.
func (d *Decoder) delta(of dialect.PartKind, value []byte) {
	text := dialect.InsideOf(value)
	if len(text) == 0 {
		return
	}
	d.openText(of)
	d.fragment(d.text, of, text)
}

func (d *Decoder) fragment(index int, of dialect.PartKind, text dialect.Inside) {
	d.give(dialect.Event{Kind: dialect.EventDelta, Index: index, Of: of, Text: text})
}

// openText makes sure that a text of the kind is open.
func (d *Decoder) openText(of dialect.PartKind) {
	if d.text >= 0 && d.of == of {
		return
	}
	d.closeText()
	d.text, d.of = d.next, of
	d.startPart(dialect.Part{Kind: of})
}

func (d *Decoder) closeText() {
	if d.text >= 0 {
		d.endPart(d.text, d.of)
		d.text = -1
	}
}

func (d *Decoder) startPart(part dialect.Part) {
	d.part = part
	d.next++
	d.give(dialect.Event{Kind: dialect.EventPartStart, Index: d.next - 1, Of: part.Kind, Part: &d.part})
}

func (d *Decoder) endPart(index int, of dialect.PartKind) {
	d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: index, Of: of})
}

// finish ends all parts and says why the answer is over, once.
func (d *Decoder) finish(f dialect.Finish) {
	if d.finished {
		return
	}
	d.finished = true
	d.closeText()
	for i := range d.calls {
		if d.calls[i].open {
			d.endPart(d.calls[i].part, dialect.PartToolUse)
		}
	}
	if len(d.calls) > 0 && f == dialect.FinishStop {
		f = dialect.FinishTools // some servers say stop
	}
	d.give(dialect.Event{Kind: dialect.EventFinish, Finish: f})
}
