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

// watch ends an exchange that stays silent for too long.
type watch struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
	idle   time.Duration
	began  bool
}

// heard starts the wait for what comes next.
func (w *watch) heard() {
	if w.began {
		w.timer.Reset(w.idle)
		return
	}
	w.began = true
	if w.timer.Stop() {
		w.timer = time.AfterFunc(w.idle, func() { w.cancel(errIdle) })
	}
}

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// stream gives a provider's events as the client is to get them.
type stream struct {
	ctx     context.Context
	watch   *watch
	resp    *http.Response
	scanner *sse.Scanner
	strip   bool // usage was asked for by the gateway, not by the client

	event   []byte
	data    []byte
	buf     []byte
	first   bool // the first event was read ahead
	last    bool
	usage   dialect.Usage
	counted bool
	err     error
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
	for s.scanner.Next() {
		s.watch.heard()
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
		s.usage, s.counted = usage, true
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
