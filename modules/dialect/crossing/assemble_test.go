package crossing

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// assembly makes an answer of the events of a stream, and notes what is wrong with their order.
type assembly struct {
	answer dialect.Answer
	open   map[int]bool
	ended  bool
	err    *dialect.Error
	faults []string
}

func (a *assembly) add(e *dialect.Event) {
	if a.ended {
		a.faults = append(a.faults, "an event after the end")
	}
	if e.HasUsage {
		a.answer.Usage, a.answer.HasUsage = e.Usage, true
	}
	part := func() *dialect.Part {
		if !a.open[e.Index] || a.answer.Parts[e.Index].Kind != e.Of {
			a.faults = append(a.faults, "an event of a part that is not open")
			return &dialect.Part{}
		}
		return &a.answer.Parts[e.Index]
	}
	switch e.Kind {
	case dialect.EventStart:
		a.open = map[int]bool{}
		a.answer.ID, a.answer.Model, a.answer.Created = e.ID, e.Model, e.Created
	case dialect.EventPartStart:
		if a.open == nil || e.Index != len(a.answer.Parts) {
			a.faults = append(a.faults, "a part that starts out of order")
			return
		}
		p := *e.Part
		p.Redacted, p.Signature, p.Raw = bytes.Clone(p.Redacted), bytes.Clone(p.Signature), bytes.Clone(p.Raw)
		a.answer.Parts = append(a.answer.Parts, p)
		a.open[e.Index] = true
	case dialect.EventDelta:
		p := part()
		if e.Of == dialect.PartToolUse {
			p.Arguments = append(p.Arguments, e.Text...)
		} else {
			p.Text = append(p.Text, e.Text...)
		}
	case dialect.EventSignature:
		p := part()
		p.Signature, p.Signer = append(p.Signature, e.Text...), e.Signer
	case dialect.EventCitation:
		p, c := part(), *e.Citation
		c.Quote = bytes.Clone(c.Quote)
		p.Citations = append(p.Citations, c)
	case dialect.EventPartEnd:
		p := part()
		if e.Of == dialect.PartToolUse {
			if p.Arguments = dialect.Inside(p.Arguments).Unescape(nil); len(p.Arguments) == 0 {
				p.Arguments = dialect.Raw("{}")
			}
		}
		delete(a.open, e.Index)
	case dialect.EventFinish:
		if len(a.open) > 0 {
			a.faults = append(a.faults, "the answer finishes with a part open")
		}
		a.answer.Finish, a.answer.StopSequence = e.Finish, e.StopSequence
	case dialect.EventError:
		a.ended, a.err = true, e.Err
	case dialect.EventEnd:
		a.ended = true
		if a.answer.Finish == dialect.FinishNone {
			a.faults = append(a.faults, "an end without a finish")
		}
	}
}
