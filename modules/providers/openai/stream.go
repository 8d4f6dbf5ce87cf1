package openai

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// maxEvent bounds one event of a stream, in bytes.
const maxEvent = 4 << 20

var (
	errFirstToken = errors.New("did not begin to answer in time")
	errIdle       = errors.New("fell silent in the middle of its answer")

	done = []byte("[DONE]")
)

// watch ends an exchange in which the provider stays silent for too long. It does not run while the client is written to.
type watch struct {
	first  *time.Timer // until the first event
	idle   *time.Timer // between events; nil before the first
	length time.Duration
	cancel context.CancelCauseFunc
}

// wait begins, or begins anew, the wait for what comes after the first sign of an answer.
func (w *watch) wait() {
	if w.idle != nil {
		w.idle.Reset(w.length)
		return
	}
	w.first.Stop()
	w.idle = time.AfterFunc(w.length, func() { w.cancel(errIdle) })
}

// pause ends the wait.
func (w *watch) pause() {
	w.first.Stop()
	if w.idle != nil {
		w.idle.Stop()
	}
}

func (w *watch) end() {
	w.pause()
	w.cancel(nil)
}

// stream gives a provider's events as the client is to get them.
type stream struct {
	ctx     context.Context
	watch   *watch
	resp    *http.Response
	scanner *sse.Scanner
	strip   bool // usage was asked for by the gateway, not by the client

	event []byte
	data  []byte
	buf   []byte
	begun bool // an event has come
	first bool // it was read ahead
	last  bool
	usage dialect.Usage
	err   error
}

// openStream waits for the first event, so that a failure inside a 200 is still one that may be tried elsewhere.
func openStream(ctx context.Context, w *watch, resp *http.Response, strip bool) (*stream, error) {
	s := &stream{ctx: ctx, watch: w, resp: resp, strip: strip, scanner: sse.NewScanner(resp.Body, maxEvent)}
	if !s.Next() {
		resp.Body.Close()
		var e *dialect.Error
		if errors.As(s.err, &e) {
			e.Retryable = true
		}
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
	if s.begun {
		s.watch.wait()
	}
	s.begun = s.next()
	s.watch.pause()
	return s.begun
}

func (s *stream) next() bool {
	for s.scanner.Next() {
		if s.begun {
			s.watch.wait() // a keep-alive is a sign of life too
		}
		data := s.scanner.Data()
		if len(data) == 0 {
			continue // a comment, or a keep-alive
		}
		if bytes.Equal(data, done) {
			s.event, s.data, s.last = s.scanner.Event(), data, true
			if !s.scanner.Complete() {
				s.event = append(append(s.buf[:0], "data: "...), "[DONE]\n\n"...)
			}
			return true
		}
		if !s.scanner.Complete() {
			break
		}
		if !gjson.ValidBytes(data) {
			continue // one bad line does not end an answer that goes on
		}
		if s.take(data) {
			return true
		}
		if s.err != nil {
			return false
		}
	}
	s.err = s.broken()
	return false
}

// take judges one event's data and says whether the client gets it.
func (s *stream) take(data []byte) bool {
	if gjson.GetBytes(data, "error").IsObject() {
		e := wire.ParseError(http.StatusBadGateway, s.resp.Header.Get, data)
		e.Retryable = false // of a stream that has begun; openStream knows better
		s.err = e
		return false
	}
	if usage, ok := wire.UsageOf(data); ok {
		s.usage = usage
	}
	s.event, s.data = s.scanner.Event(), data
	if !s.strip {
		return true
	}
	stripped, drop := wire.StripUsage(data)
	if drop {
		return false
	}
	if len(stripped) != len(data) {
		s.buf = sse.AppendData(s.buf[:0], stripped)
		s.event, s.data = s.buf, stripped
	}
	return true
}

// broken is why the events ended before [DONE].
func (s *stream) broken() error {
	if err := s.scanner.Err(); err != nil {
		if errors.Is(err, sse.ErrTooLong) {
			return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider sent an event larger than the gateway takes", Cause: err}
		}
		return transportError(s.ctx, err)
	}
	if s.ctx.Err() != nil {
		return transportError(s.ctx, s.ctx.Err())
	}
	return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer broke off before its end"}
}

// Event is the current event in wire form.
func (s *stream) Event() []byte { return s.event }

// Data is the current event's data.
func (s *stream) Data() []byte { return s.data }

// Last says that the current event is [DONE].
func (s *stream) Last() bool { return s.last }

// Usage is what the provider counted.
func (s *stream) Usage() dialect.Usage { return s.usage }

// Err is why the stream ended; nil after [DONE].
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

// Close ends the exchange at once.
func (s *stream) Close() error {
	s.watch.end()
	return s.resp.Body.Close()
}
