package gemini

import (
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Decoder reads the events of a stream. Each is a response of its own, with what it adds. There is no event that
// ends a stream, and what comes last may be another's usage, so that the end is told when the stream is over.
type Decoder struct {
	event dialect.Event
	part  dialect.Part
	yield func(*dialect.Event)

	id      string
	started bool
	ended   bool // nothing more will be given

	next  int              // index of the part that starts next
	open  dialect.PartKind // of the text or the thoughts that have not ended, whose index is the one before next; else zero
	calls int
	cited []citedWords

	finish dialect.Finish
	reason string
}

// maxCited is how many citations a stream can make a Decoder remember. More are not given.
const maxCited = 1024

// citedWords is a page and the words that rest on it.
type citedWords struct {
	cited
	quote string
}

// NewDecoder makes a decoder for one stream.
func NewDecoder() *Decoder { return &Decoder{} }

// Decode reads the data of one event: see dialect.StreamDecoder. It takes the elements of the array that a stream
// without alt=sse is as well.
func (d *Decoder) Decode(data []byte, yield func(*dialect.Event)) error {
	if d.ended {
		return nil
	}
	d.yield = yield
	if err := d.check(data); err != nil {
		return err
	}
	d.read(data)
	return nil
}

// check checks an event. An error may come in an array.
func (d *Decoder) check(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		for element := range dialect.Elements(data) {
			data = element
			break
		}
	}
	if err := dialect.Check(data); err != nil {
		return err
	}
	return nil
}

// End says that the stream is over.
func (d *Decoder) End(yield func(*dialect.Event)) {
	switch d.yield = yield; {
	case d.ended:
		return
	case d.finish == dialect.FinishNone:
		d.fail(dialect.BrokenOff())
		return
	case d.finish == dialect.FinishError:
		d.fail(&dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider could not complete its answer",
			Cause: fmt.Errorf("the provider's answer ended with %s", dialect.CleanMessage(d.reason))})
		return
	case d.finish == dialect.FinishStop && d.calls > 0:
		d.finish = dialect.FinishTools
	}
	d.close()
	d.give(dialect.Event{Kind: dialect.EventFinish, Finish: d.finish})
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventEnd})
}

func (d *Decoder) give(event dialect.Event) {
	d.event = event
	d.yield(&d.event)
}

func (d *Decoder) fail(err *dialect.Error) {
	d.ended = true
	d.give(dialect.Event{Kind: dialect.EventError, Err: err})
}

func (d *Decoder) read(data []byte) {
	w := readResponse(data)
	if w.err != nil {
		err := ParseError(codeOf(w.err), func(string) string { return "" }, data)
		err.Retryable = false
		d.fail(err)
		return
	}
	usage, told := usageOf(w.usage)
	raw := w.candidate()
	if raw == nil && w.blockReason == "" && !told {
		return
	}
	if !d.started {
		d.started = true
		d.id, _ = dialect.Text(w.id)
		model, _ := dialect.Text(w.model)
		d.give(dialect.Event{Kind: dialect.EventStart, ID: d.id, Model: model, Usage: usage, HasUsage: told})
	} else if told {
		d.give(dialect.Event{Kind: dialect.EventUsage, Usage: usage, HasUsage: true})
	}
	c := readCandidate(raw)
	if c.index != "" && c.index != "0" {
		return
	}
	for raw := range dialect.Elements(list(c.parts)) {
		p := readPart(raw)
		d.say(&p)
	}
	d.cite(citationsOf(c))
	switch f := finishOf(c.reason); {
	case f != dialect.FinishNone:
		d.finish, d.reason = f, c.reason
		if f == dialect.FinishFilter {
			d.refusal(c.message)
		}
	case w.blockReason != "":
		d.finish = dialect.FinishFilter
		d.refusal(w.blockMessage)
	}
}

// say gives what a part adds: more of the text or the thoughts at hand, or a part that is whole.
func (d *Decoder) say(p *wirePart) {
	part := p.decode()
	switch {
	case part.Kind == dialect.PartText && (len(part.Text) > 0 || d.open == dialect.PartText),
		part.Kind == dialect.PartReasoning && part.Redacted == nil && (len(part.Text) > 0 || part.Signer != "" || d.open == dialect.PartReasoning):
		d.more(part)
		return
	}
	if part, said := p.answer(); said {
		d.whole(part)
	}
}

// more adds to a text or to thoughts.
func (d *Decoder) more(part dialect.Part) {
	if d.open != part.Kind {
		d.close()
		d.start(dialect.Part{Kind: part.Kind})
		d.open = part.Kind
	}
	if len(part.Text) > 0 {
		d.give(dialect.Event{Kind: dialect.EventDelta, Index: d.next - 1, Of: part.Kind, Text: part.Text})
	}
	if len(part.Signature) > 0 {
		d.give(dialect.Event{Kind: dialect.EventSignature, Index: d.next - 1, Of: part.Kind, Text: part.Signature, Signer: part.Signer})
		if part.Kind == dialect.PartReasoning {
			d.close() // other thoughts have their own
		}
	}
}

// whole gives a part that comes at once: a call, whose arguments are one fragment, and what has no text.
func (d *Decoder) whole(part dialect.Part) {
	d.close()
	arguments := part.Arguments
	if part.Kind == dialect.PartToolUse {
		if part.ID == "" {
			part.ID = madeID(d.id, d.calls)
		}
		d.calls++
		part.Arguments = nil
	}
	d.start(part)
	if part.Kind == dialect.PartToolUse && string(arguments) != "{}" {
		d.give(dialect.Event{Kind: dialect.EventDelta, Index: d.next - 1, Of: part.Kind, Text: dialect.InsideOf(dialect.Quote(nil, arguments))})
	}
	d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: d.next - 1, Of: part.Kind})
}

func (d *Decoder) start(part dialect.Part) {
	d.part = part
	d.next++
	d.give(dialect.Event{Kind: dialect.EventPartStart, Index: d.next - 1, Of: part.Kind, Part: &d.part})
}

// close ends the text or the thoughts at hand.
func (d *Decoder) close() {
	if d.open != 0 {
		d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: d.next - 1, Of: d.open})
		d.open = 0
	}
}

// cite gives what the text at hand rests on. Servers tell it with the end, where the text is still open, and may
// tell it again with all that they told before.
func (d *Decoder) cite(citations []dialect.Citation) {
	for i := range citations {
		if d.open == dialect.PartText && !d.told(&citations[i]) {
			citations[i].Start, citations[i].End = 0, 0 // whose text has passed
			d.give(dialect.Event{Kind: dialect.EventCitation, Index: d.next - 1, Of: d.open, Citation: &citations[i]})
		}
	}
}

func (d *Decoder) told(c *dialect.Citation) bool {
	for i := range d.cited {
		if t := &d.cited[i]; t.url == c.URL && t.start == c.Start && t.end == c.End && t.quote == string(c.Quote) {
			return true
		}
	}
	if len(d.cited) == maxCited {
		return true
	}
	d.cited = append(d.cited, citedWords{cited{c.URL, c.Title, c.Start, c.End}, string(c.Quote)})
	return false
}

// refusal gives why an answer is withheld as a part, which it is in other dialects.
func (d *Decoder) refusal(message dialect.Inside) {
	if len(message) == 0 {
		return
	}
	d.close()
	d.start(dialect.Part{Kind: dialect.PartRefusal})
	d.give(dialect.Event{Kind: dialect.EventDelta, Index: d.next - 1, Of: dialect.PartRefusal, Text: message})
	d.give(dialect.Event{Kind: dialect.EventPartEnd, Index: d.next - 1, Of: dialect.PartRefusal})
}
