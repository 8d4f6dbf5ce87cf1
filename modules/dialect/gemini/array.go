package gemini

import (
	"errors"
	"io"
)

// Array writes a stream as the JSON array that it is for clients who do not ask for alt=sse. The zero value is an
// array that has not begun.
type Array struct{ begun bool }

// Append appends the data of one event as an element.
func (a *Array) Append(dst, data []byte) []byte {
	if a.begun {
		dst = append(dst, ",\r\n"...)
	} else {
		dst = append(dst, '[')
	}
	a.begun = true
	return append(dst, data...)
}

// End appends the end of the array, also where it has no element.
func (a *Array) End(dst []byte) []byte {
	if !a.begun {
		dst = append(dst, '[')
	}
	return append(dst, ']')
}

// Errors of an ArrayScanner.
var (
	errNoArray      = errors.New("reading a stream: it is no array of objects")
	errElementLimit = errors.New("reading a stream: an element is larger than is read")
)

// ArrayScanner reads the elements of a stream that is a JSON array, each as soon as it is there.
type ArrayScanner struct {
	r    io.Reader
	most int
	err  error
	done bool

	buf    []byte
	from   int // of the element at hand, or of what is to be read next
	at     int // what was looked at
	depth  int // of objects and arrays that are open inside of the array
	begun  bool
	text   bool // within a string
	escape bool // after a backslash
	end    int
}

// NewArrayScanner makes a scanner for elements of so many bytes at most.
func NewArrayScanner(r io.Reader, most int) *ArrayScanner { return &ArrayScanner{r: r, most: most} }

// Data is the element, valid until the next call of Next.
func (s *ArrayScanner) Data() []byte { return s.buf[s.from:s.end] }

// Err is what went wrong; nil where the stream ended, with its bracket or without.
func (s *ArrayScanner) Err() error { return s.err }

// Next goes to the next element; false where there is none.
func (s *ArrayScanner) Next() bool {
	s.from = s.end
	for s.err == nil && !s.done {
		for s.at < len(s.buf) {
			whole := s.step(s.buf[s.at])
			s.at++
			if whole {
				s.end = s.at
				return true
			}
			if s.err != nil || s.done {
				return false
			}
		}
		s.fill()
	}
	return false
}

// step takes one byte; true where an element ends with it.
func (s *ArrayScanner) step(c byte) bool {
	switch {
	case s.text:
		switch {
		case s.escape:
			s.escape = false
		case c == '\\':
			s.escape = true
		case c == '"':
			s.text = false
		}
	case s.depth > 0:
		switch c {
		case '"':
			s.text = true
		case '{', '[':
			s.depth++
		case '}', ']':
			s.depth--
			return s.depth == 0
		}
	case c == ' ', c == '\t', c == '\r', c == '\n':
	case c == '[' && !s.begun:
		s.begun = true
	case c == ']' && s.begun:
		s.done = true
	case c == ',' && s.begun:
	case c == '{' && s.begun:
		s.depth, s.from = 1, s.at
	default:
		s.err = errNoArray
	}
	return false
}

// fill reads more, over what was given.
func (s *ArrayScanner) fill() {
	keep := s.at
	if s.depth > 0 {
		keep = s.from
	}
	n := copy(s.buf, s.buf[keep:])
	s.buf = s.buf[:n]
	s.at, s.from, s.end = s.at-keep, 0, 0
	if n > s.most {
		s.err = errElementLimit
		return
	}
	if cap(s.buf)-n < 512 {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)+4096), s.buf...)
	}
	read, err := s.r.Read(s.buf[n:cap(s.buf)])
	s.buf = s.buf[:n+read]
	switch {
	case read > 0: // an error comes again
	case err == io.EOF:
		s.done = true
	case err != nil:
		s.err = err
	default:
		s.err = io.ErrNoProgress
	}
}
