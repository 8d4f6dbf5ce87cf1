package dialect

import "bytes"

// Sequencer makes the parts of a stream follow each other, for dialects whose clients know one open part at a
// time. The first open part passes as it comes; what comes of later ones is held until their turn. Where a
// provider sends one part after the other, which most do, nothing is held.
type Sequencer struct {
	event Event
	yield func(*Event)

	passing bool
	open    int // index of the part that passes
	of      PartKind
	held    []*heldPart
}

// heldPart is a part whose turn has not come.
type heldPart struct {
	index     int
	part      Part
	text      Inside
	signature Inside
	signer    Name
	citations []Citation
	ended     bool
}

// Add takes an event and gives what can pass now: the event, others that were held, or nothing.
func (s *Sequencer) Add(e *Event, yield func(*Event)) {
	s.yield = yield
	switch e.Kind {
	case EventPartStart:
		if s.passing {
			s.held = append(s.held, &heldPart{index: e.Index, part: kept(e.Part)})
			return
		}
		s.passing, s.open, s.of = true, e.Index, e.Of
		yield(e)
	case EventDelta, EventSignature, EventCitation:
		if s.passing && e.Index == s.open {
			yield(e)
		} else {
			s.hold(e)
		}
	case EventPartEnd:
		if s.passing && e.Index == s.open {
			s.end()
		} else {
			s.hold(e)
		}
	case EventFinish, EventEnd:
		for s.passing {
			s.end()
		}
		yield(e)
	default:
		yield(e)
	}
}

// kept is a part that outlives its event.
func kept(p *Part) Part {
	part := *p
	part.Signature, part.Redacted = bytes.Clone(p.Signature), bytes.Clone(p.Redacted)
	part.Arguments, part.Raw = bytes.Clone(p.Arguments), bytes.Clone(p.Raw)
	return part
}

func (s *Sequencer) hold(e *Event) {
	for _, h := range s.held {
		if h.index != e.Index {
			continue
		}
		switch e.Kind {
		case EventDelta:
			h.text = append(h.text, e.Text...)
		case EventSignature:
			h.signature, h.signer = append(h.signature, e.Text...), e.Signer
		case EventCitation:
			c := *e.Citation
			c.Quote, c.Raw = bytes.Clone(c.Quote), bytes.Clone(c.Raw)
			h.citations = append(h.citations, c)
		case EventPartEnd:
			h.ended = true
		}
	}
}

// end ends the part that passes and lets held ones go, up to and with the first that has not ended.
func (s *Sequencer) end() {
	s.give(Event{Kind: EventPartEnd, Index: s.open, Of: s.of})
	s.passing = false
	for len(s.held) > 0 && !s.passing {
		h := s.held[0]
		s.held = s.held[1:]
		s.release(h)
	}
}

func (s *Sequencer) release(h *heldPart) {
	s.passing, s.open, s.of = true, h.index, h.part.Kind
	s.give(Event{Kind: EventPartStart, Index: h.index, Of: s.of, Part: &h.part})
	if len(h.text) > 0 {
		s.give(Event{Kind: EventDelta, Index: h.index, Of: s.of, Text: h.text})
	}
	if len(h.signature) > 0 {
		s.give(Event{Kind: EventSignature, Index: h.index, Of: s.of, Text: h.signature, Signer: h.signer})
	}
	for i := range h.citations {
		s.give(Event{Kind: EventCitation, Index: h.index, Of: s.of, Citation: &h.citations[i]})
	}
	if h.ended {
		s.give(Event{Kind: EventPartEnd, Index: h.index, Of: s.of})
		s.passing = false
	}
}

func (s *Sequencer) give(e Event) {
	s.event = e
	s.yield(&s.event)
}
