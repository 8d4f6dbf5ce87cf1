package proxy

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// translatedStream gives a provider's events in another dialect. One of them may become several there, or none.
type translatedStream struct {
	gateway.Stream
	decoder dialect.StreamDecoder
	encoder dialect.StreamEncoder
	take    func(*dialect.Event) // the method, made once

	buf     []byte // what the event at hand became
	pending []byte // what of it is still to be given
	event   []byte
	data    []byte
	ended   bool // the answer is complete
	over    bool // nothing more comes
	err     *dialect.Error

	pieces int64 // fragments of the answer so far
	input  int64 // tokens of the prompt, by its size, for a provider that tells no usage
}

func newTranslatedStream(s gateway.Stream, decoder dialect.StreamDecoder, encoder dialect.StreamEncoder) *translatedStream {
	t := &translatedStream{Stream: s, decoder: decoder, encoder: encoder}
	t.take = t.encode
	return t
}

// open waits for the first event, so that what fails before it may still be tried elsewhere.
func (s *translatedStream) open() error {
	for len(s.pending) == 0 {
		if s.over {
			s.Close()
			if s.err == nil {
				return dialect.BrokenOff()
			}
			return s.err
		}
		s.fill()
	}
	return nil
}

// Next waits for the next event.
func (s *translatedStream) Next() bool {
	for len(s.pending) == 0 {
		if s.over {
			return false
		}
		s.fill()
	}
	end := bytes.Index(s.pending, []byte("\n\n")) + len("\n\n")
	s.event, s.pending = s.pending[:end], s.pending[end:]
	s.data = sse.DataOf(s.event)
	return true
}

// OnWait has f called before the provider's next event is waited for.
func (s *translatedStream) OnWait(f func()) bool { return gateway.OnWait(s.Stream, f) }

// fill reads the provider's next event.
func (s *translatedStream) fill() {
	s.buf = s.buf[:0]
	switch {
	case !s.Stream.Next():
		s.over = true
		if err := s.Stream.Err(); err != nil {
			s.err, _ = err.(*dialect.Error) // of a stream it is nothing else
			break
		}
		if !s.ended {
			s.decoder.End(s.take)
		}
	case s.ended: // what comes behind the end is nothing
	default:
		if s.Stream.Last() {
			s.tellUsage()
		}
		s.decoder.Decode(s.Stream.Data(), s.take) //nolint:errcheck // what cannot be read does not end an answer that goes on
	}
	s.pending = s.buf
}

// tellUsage has the client told what the gateway counts. The provider may have been asked for it by the gateway, which then is not
// among the events; or it may not have told any.
func (s *translatedStream) tellUsage() {
	if usage := s.Usage(); usage != (dialect.Usage{}) {
		s.encode(&dialect.Event{Kind: dialect.EventUsage, Usage: usage, HasUsage: true})
	}
}

func (s *translatedStream) encode(e *dialect.Event) {
	switch e.Kind {
	case dialect.EventError:
		s.err, s.over = e.Err, true
		return
	case dialect.EventEnd:
		s.ended = true
	case dialect.EventDelta:
		s.pieces++
	}
	s.buf = s.encoder.Encode(s.buf, e)
}

// Event is the current event in wire form.
func (s *translatedStream) Event() []byte { return s.event }

// Data is the current event's data.
func (s *translatedStream) Data() []byte { return s.data }

// Last says that the current event ends a complete answer.
func (s *translatedStream) Last() bool { return s.ended && len(s.pending) == 0 }

// Usage is what the provider counted, else an estimate.
func (s *translatedStream) Usage() dialect.Usage {
	if usage := s.Stream.Usage(); usage != (dialect.Usage{}) || s.pieces == 0 {
		return usage
	}
	return dialect.Usage{Input: s.input, Output: s.pieces, Estimated: true}
}

// Err is why the stream ended; nil where the answer was complete.
func (s *translatedStream) Err() error {
	if s.err != nil {
		return s.err
	}
	return nil
}
