package exchange

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// MaxEvent bounds one event of a stream, in bytes.
const MaxEvent = 4 << 20

// What may follow the last event of a stream before its body ends.
const (
	lingerTimeout = time.Second
	maxTail       = 16 << 10 // in bytes
)

// Reader judges the events of one stream, in the API's dialect.
type Reader interface {
	// Read judges the data of an event, which is not empty.
	Read(data []byte) Verdict
	// Usage is what the events have told of it so far.
	Usage() dialect.Usage
}

// Ender is implemented by readers of streams that just end, without an event that says so.
type Ender interface {
	// Ended says whether the events so far are a complete answer.
	Ended() bool
}

// Verdict is what becomes of an event.
type Verdict struct {
	// Pass says that the client gets the event.
	Pass bool
	// Last says that it ends a complete answer.
	Last bool
	// Ending says that it ends a complete answer unless another event follows, in an API whose streams have no other mark of their end.
	Ending bool
	// Data goes to the client in place of the event, where not nil. Valid until the next event is read.
	Data []byte
	// Err ends the stream: in place of the event, or after it where Pass is set.
	Err *dialect.Error
}

// stream gives a provider's events as the client is to get them.
type stream struct {
	ctx     context.Context
	watch   *watch
	resp    *http.Response
	scanner *sse.Scanner
	reader  Reader

	verdict Verdict // of the event that the scanner is at
	ahead   bool    // which is the next one, looked at already
	event   []byte
	data    []byte
	buf     []byte
	begun   bool   // an event has come
	first   bool   // it was read ahead
	waiting bool   // the watch runs for the event that is read now
	onWait  func() // nil where nobody wants to know
	last    bool
	err     error
}

// openStream waits for the first event, so that a failure inside a 200 is still one that may be tried elsewhere.
func openStream(ctx context.Context, w *watch, resp *http.Response, format *Format) (*stream, error) {
	s := &stream{
		ctx: ctx, watch: w, resp: resp, reader: format.Reader(resp.Header.Get),
		scanner: sse.NewScanner(resp.Body, cmp.Or(format.MaxEvent, MaxEvent)),
	}
	s.scanner.OnRead(s.beforeRead)
	if !s.Next() {
		resp.Body.Close()
		return nil, s.err
	}
	s.first = true
	return s, nil
}

// Next waits for the next event that the client is to see.
func (s *stream) Next() bool {
	if s.first {
		s.first = false
		return true
	}
	if s.last || s.err != nil {
		return false
	}
	more := s.next()
	s.watch.pause()
	s.waiting = false
	if s.begun && s.err != nil {
		s.settle()
	}
	s.begun = s.begun || more
	return more
}

// settle says of a failure that no other attempt mends it: the client has the beginning of the answer.
func (s *stream) settle() {
	var e *dialect.Error
	if errors.As(s.err, &e) {
		e.Retryable = false
	}
}

// OnWait has f called before each wait for more.
func (s *stream) OnWait(f func()) bool {
	s.onWait = f
	return true
}

// beforeRead starts the watch, unless it runs: an event that comes in several parts has one time for all of them. What has come
// already needs none.
func (s *stream) beforeRead() {
	if s.onWait != nil {
		s.onWait()
	}
	if s.begun && !s.waiting {
		s.waiting = true
		s.watch.wait()
	}
}

func (s *stream) next() bool {
	for s.ahead || s.judge() {
		s.ahead = false
		v, data := s.verdict, s.scanner.Data()
		switch {
		case v.Last:
			s.event, s.data, s.last = s.whole(), data, true
			return true
		case v.Ending:
			s.hold(data)
			return true
		case !s.scanner.Complete():
			s.err = s.broken()
			return false
		case v.Err != nil && !v.Pass:
			s.err = v.Err
			return false
		case !v.Pass:
			continue
		}
		if v.Err != nil { // a nil *dialect.Error in an error would not be nil
			s.err = v.Err
		}
		s.event, s.data = s.scanner.Event(), data
		if v.Data != nil {
			s.buf = sse.AppendData(s.buf[:0], v.Data)
			s.event, s.data = s.buf, v.Data
		}
		return true
	}
	if ender, ok := s.reader.(Ender); ok && s.begun && ender.Ended() && s.scanner.Err() == nil {
		s.last = true
		return false
	}
	s.err = s.broken()
	return false
}

// judge goes to the next event that has data and has it judged.
func (s *stream) judge() bool {
	for s.scanner.Next() {
		s.waiting = false                            // a keep-alive is a sign of life too: the watch begins anew
		if data := s.scanner.Data(); len(data) > 0 { // else a comment, or a keep-alive
			s.verdict = s.reader.Read(data)
			return true
		}
	}
	return false
}

// whole is the event that the scanner is at, with its blank line where the stream ends without.
func (s *stream) whole() []byte {
	if s.scanner.Complete() {
		return s.scanner.Event()
	}
	s.buf = append(append(s.buf[:0], bytes.TrimRight(s.scanner.Event(), "\r\n")...), "\n\n"...)
	return s.buf
}

// hold keeps an event that may be the last one until it is known whether another follows. A stream that breaks behind it has
// lost nothing of the answer.
func (s *stream) hold(data []byte) {
	s.event, s.data = bytes.Clone(s.whole()), bytes.Clone(data)
	s.begun = true
	for s.judge() {
		if s.verdict.Pass || s.verdict.Last || s.verdict.Err != nil {
			s.ahead = true
			return
		}
	}
	s.last = true
}

// broken is why the events ended before the last one.
func (s *stream) broken() error {
	if err := s.scanner.Err(); err != nil {
		if errors.Is(err, sse.ErrTooLong) {
			return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider sent an event larger than the gateway takes", Retryable: true, Cause: err}
		}
		return transportError(s.ctx, err)
	}
	if s.ctx.Err() != nil {
		return transportError(s.ctx, s.ctx.Err())
	}
	e := dialect.BrokenOff()
	e.Retryable = true
	return e
}

// Event is the current event in wire form.
func (s *stream) Event() []byte { return s.event }

// Data is the current event's data.
func (s *stream) Data() []byte { return s.data }

// Last says that the current event ends a complete answer.
func (s *stream) Last() bool { return s.last }

// Usage is what the provider counted.
func (s *stream) Usage() dialect.Usage { return s.reader.Usage() }

// Err is why the stream ended; nil after the last event.
func (s *stream) Err() error {
	if s.err == nil {
		return nil
	}
	var e *dialect.Error
	if !errors.As(s.err, &e) { // the context's own, which Send may return, but no stream
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the answer was broken off", Cause: s.err}
	}
	return e
}

// Close ends the exchange: at once, unless the answer is complete. Then only the end of the body is still to come, and a connection
// that was read to there serves the next call. That is waited for beside this one, which has no more to tell. What the events gave is
// void then.
func (s *stream) Close() error {
	ended := s.scanner.Ended()
	s.scanner.Release()
	s.event, s.data = nil, nil
	if s.last && !ended && s.watch.linger(lingerTimeout) {
		go s.drain()
		return nil
	}
	s.watch.end()
	return s.resp.Body.Close()
}

// drain reads what follows a complete answer, within bounds.
func (s *stream) drain() {
	io.CopyN(io.Discard, s.resp.Body, maxTail) //nolint:errcheck // nobody is left to be told
	s.resp.Body.Close()                        //nolint:errcheck
	s.watch.end()
}
