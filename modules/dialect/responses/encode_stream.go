package responses

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// Encoder writes the events of an answer. Its items follow each other, whatever the provider does. It holds the
// answer as far as it came, since the last event tells all of it.
type Encoder struct {
	options   dialect.StreamOptions
	sequencer dialect.Sequencer
	pass      func(*dialect.Event) // write, made once
	dst       []byte               // what write appends to

	teller
	answerID dialect.Inside
	head     []byte // the answer up to its status
	output   []byte // its items so far
	scratch  []byte

	parts  []dialect.Part // of the item at hand: the contents of a message, or the one that is no message
	inItem bool           // there is an item at hand
	open   bool           // its last part has not ended

	finish   dialect.Finish
	usage    dialect.Usage
	hasUsage bool
}

// NewEncoder makes an encoder for one stream.
func NewEncoder(o dialect.StreamOptions) *Encoder {
	e := &Encoder{options: o}
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
		e.start(event)
	case dialect.EventPartStart:
		e.partStart(event.Part)
	case dialect.EventDelta:
		e.more(event)
	case dialect.EventSignature:
		if e.open && event.Of == dialect.PartReasoning {
			part := e.last()
			part.Signature, part.Signer = append(part.Signature, event.Text...), event.Signer
		}
	case dialect.EventCitation:
		if c := event.Citation; e.open && c.URL != "" {
			part := e.last()
			part.Citations = append(part.Citations, dialect.Citation{URL: c.URL, Title: c.Title, Start: c.Start, End: c.End})
		}
	case dialect.EventPartEnd:
		e.partEnd()
	case dialect.EventFinish:
		e.finish = event.Finish
		e.endMessage(statusOf(e.finish))
	case dialect.EventEnd:
		e.endMessage(statusOf(e.finish)) // of what a provider sent behind the reason for its end
		e.end()
	case dialect.EventError:
		e.dst = end(appendFailure(e.begin(e.dst, eventError), event.Err))
	}
}

// start tells that there is an answer, before any of it.
func (e *Encoder) start(event *dialect.Event) {
	created := event.Created
	if created == 0 && !e.options.Created.IsZero() {
		created = e.options.Created.Unix()
	}
	e.answerID = dialect.Escape(event.ID)
	e.head = appendHead(nil, event.ID, event.Model, created, e.options.Asked)
	begun := append(e.scratch[:0], e.head...)
	begun = append(begun, `,"status":"in_progress","error":null,"incomplete_details":null,"output":[],"usage":null}`...)
	e.dst = e.answer(e.dst, "response.created", begun)
	e.dst = e.answer(e.dst, "response.in_progress", begun)
	e.scratch = begun
}

// end tells the whole answer.
func (e *Encoder) end() {
	whole := append(e.scratch[:0], e.head...)
	whole = append(append(appendStatus(whole, e.finish), `,"output":[`...), e.output...)
	whole = append(whole, `],"usage":`...)
	if e.hasUsage {
		whole = AppendUsage(whole, e.usage)
	} else {
		whole = append(whole, "null"...)
	}
	e.dst = e.answer(e.dst, "response."+statusOf(e.finish), append(whole, '}'))
}
