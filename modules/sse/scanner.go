// Package sse reads and writes server-sent events, as the HTML standard has them in section 9.2. It is pure:
// it knows readers and bytes, no HTTP.
package sse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

// DefaultMaxEvent is a sensible bound for events of LLM providers, whose largest hold an image: 1 MiB.
const DefaultMaxEvent = 1 << 20

// A stream that comes an event at a time, as a model writes it, needs little room, and there may be thousands of them. It keeps a small
// buffer. One that comes faster is read in larger parts, into a buffer that others have when it is over.
const (
	slowBuffer = 1 << 10
	fastBuffer = 4 << 10
)

// ErrTooLong is the error of a stream that has an event of more bytes than the scanner may hold.
var ErrTooLong = errors.New("reading events: an event is longer than allowed")

// maxEmptyReads is how many reads in a row may give neither bytes nor an error.
const maxEmptyReads = 100

// Scanner reads events from a stream, in the manner of bufio.Scanner. An event is there as soon as its blank
// line is; the scanner never reads on while it holds a whole event. It is used by one goroutine.
type Scanner struct {
	r     io.Reader
	max   int
	wait  func() // called before each read
	ended error  // what ended reading, io.EOF included; the bytes before it still count
	err   error
	room  *[fastBuffer]byte // the buffer, where it is one of rooms

	// buf[start:pos] is what was parsed of the current event, buf[pos:scanned] what is known to hold no line
	// ending, buf[scanned:end] not looked at yet.
	buf                      []byte
	start, pos, scanned, end int
	gave                     int  // what the last read gave, in bytes
	filled                   bool // it has filled the buffer
	begun                    bool // the stream's first line was seen
	skipLF                   bool // the last line ended in CR: an LF that follows belongs to it

	// The current event.
	lines, dataLines int
	typ, data        span   // in buf, counted from start
	joined           []byte // the data of several data lines
	complete         bool
}

// span is a part of the buffer.
type span struct{ from, to int }

// NewScanner makes a scanner for a stream whose events have no more than maxEvent bytes each. It holds a
// buffer that grows with the events, up to that size, and as much again for data of many lines.
func NewScanner(r io.Reader, maxEvent int) *Scanner {
	s := &Scanner{r: r, max: maxEvent}
	s.resize(fastBuffer)
	return s
}

// Release gives the scanner's memory to others. It has no events from then on, and what it gave must not be looked at any more.
func (s *Scanner) Release() {
	if s.room != nil {
		rooms.Put(s.room)
	}
	*s = Scanner{err: errReleased}
}

var rooms = sync.Pool{New: func() any { return new([fastBuffer]byte) }}

var errReleased = errors.New("reading events: the scanner was released")

// OnRead has f called before each read, which is when no whole event is left.
func (s *Scanner) OnRead(f func()) { s.wait = f }

// Next waits for the next event and says whether there is one. The former event's bytes are void then.
//
// Everything that ends in a blank line counts as an event, also where it has no data, so that comments can be
// passed on. Blank lines beyond the first are part of the event that follows them.
func (s *Scanner) Next() bool {
	s.start = s.pos
	s.lines, s.dataLines, s.complete = 0, 0, false
	s.typ, s.data = span{}, span{}
	for s.err == nil {
		line, ok := s.line()
		switch {
		case !ok && s.ended == io.EOF:
			return s.last()
		case !ok && s.ended != nil:
			s.err = s.ended
		case !ok:
			s.fill()
		case line.from < line.to:
			s.field(line)
		case s.lines > 0:
			s.complete = true
			return true
		}
	}
	return false
}

// last ends a stream that did not end in a blank line.
func (s *Scanner) last() bool {
	line := s.unmark(span{s.pos - s.start, s.end - s.start})
	s.pos, s.scanned = s.end, s.end
	if line.from < line.to {
		s.field(line)
	}
	return s.lines > 0
}

// Event is the event as it was received, with its line endings and its blank line. Where the blank line was
// cut between CR and LF, the LF begins the next event, so that all events together are the stream. Valid
// until Next.
func (s *Scanner) Event() []byte { return s.buf[s.start:s.pos] }

// Type is the value of the event's last event field; empty where it has none. Valid until Next.
func (s *Scanner) Type() []byte { return s.at(s.typ) }

// Data is the event's data, its lines joined by LF. Valid until Next.
func (s *Scanner) Data() []byte {
	if s.dataLines > 1 {
		return s.joined
	}
	return s.at(s.data)
}

// HasData tells whether the event has a data field, be it empty. An event without, such as one of comments
// only, is none that a client would hear of.
func (s *Scanner) HasData() bool { return s.dataLines > 0 }

// Complete tells whether the event ended in a blank line. One that did not is the last of its stream; the
// standard has clients ignore it.
func (s *Scanner) Complete() bool { return s.complete }

// Ended tells whether the stream was read to its end, be there events left of it.
func (s *Scanner) Ended() bool { return s.ended == io.EOF }

// Err is why Next said no; nil at the stream's end.
func (s *Scanner) Err() error { return s.err }

func (s *Scanner) at(p span) []byte { return s.buf[s.start+p.from : s.start+p.to] }

// line takes the next line, without its ending, if it is there in full.
func (s *Scanner) line() (span, bool) {
	if s.skipLF && s.pos < s.end {
		s.skipLF = false
		if s.buf[s.pos] == '\n' {
			s.pos++
			s.scanned = max(s.scanned, s.pos)
		}
	}
	n := lineEnd(s.buf[s.scanned:s.end])
	s.scanned += n
	if s.scanned == s.end {
		return span{}, false
	}
	line := span{s.pos - s.start, s.scanned - s.start}
	s.skipLF = s.buf[s.scanned] == '\r'
	s.scanned++
	if s.skipLF && s.scanned < s.end {
		s.skipLF = false
		if s.buf[s.scanned] == '\n' {
			s.scanned++
		}
	}
	s.pos = s.scanned
	return s.unmark(line), true
}

// unmark takes the byte order mark from the stream's first line.
func (s *Scanner) unmark(line span) span {
	if !s.begun {
		s.begun = true
		if bytes.HasPrefix(s.at(line), []byte("\ufeff")) {
			line.from += len("\ufeff")
		}
	}
	return line
}

// lineEnd returns the index of the first CR or LF, len(b) where there is none. It looks at eight bytes
// together; see https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord.
func lineEnd(b []byte) int {
	const every, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		lf, cr := w^'\n'*every, w^'\r'*every
		if found := ((lf-every)&^lf | (cr-every)&^cr) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			return i
		}
	}
	return i
}

// field takes what a line says into the event.
func (s *Scanner) field(line span) {
	s.lines++
	name, value := s.at(line), span{line.to, line.to}
	if colon := bytes.IndexByte(name, ':'); colon >= 0 {
		name = name[:colon]
		value.from = line.from + colon + 1
		if value.from < value.to && s.buf[s.start+value.from] == ' ' {
			value.from++
		}
	}
	switch string(name) {
	case "event":
		s.typ = value
	case "data":
		switch s.dataLines++; s.dataLines {
		case 1:
			s.data = value
			return
		case 2:
			s.joined = append(s.joined[:0], s.at(s.data)...)
		}
		s.joined = append(s.joined, '\n')
		s.joined = append(s.joined, s.at(value)...)
	}
}

// resize has what is held in a buffer of another size.
func (s *Scanner) resize(size int) {
	former, held := s.room, s.buf[:s.end]
	s.room = nil
	if size == fastBuffer {
		s.room = rooms.Get().(*[fastBuffer]byte)
		n := min(size, s.max)
		s.buf = s.room[:n:n]
	} else {
		s.buf = make([]byte, min(size, s.max))
	}
	copy(s.buf, held)
	if former != nil {
		rooms.Put(former)
	}
}

// fill reads once more, and makes room for that.
func (s *Scanner) fill() {
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.pos -= s.start
		s.scanned -= s.start
		s.end -= s.start
		s.start = 0
	}
	switch slow := !s.filled && s.gave < slowBuffer; {
	case s.end == len(s.buf):
		if s.end >= s.max {
			s.err = ErrTooLong
			return
		}
		s.resize(max(2*len(s.buf), fastBuffer))
	case slow && s.gave > 0 && s.room != nil && s.end < slowBuffer/2:
		s.resize(slowBuffer)
	case !slow && len(s.buf) < fastBuffer:
		s.resize(fastBuffer)
	}
	if s.wait != nil {
		s.wait()
	}
	for range maxEmptyReads {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.gave, s.filled = n, s.end == len(s.buf)
		switch {
		case err == io.EOF:
			s.ended = io.EOF
			return
		case err != nil:
			s.ended = fmt.Errorf("reading events: %w", err)
			return
		case n > 0:
			return
		}
	}
	s.ended = fmt.Errorf("reading events: %w", io.ErrNoProgress)
}
