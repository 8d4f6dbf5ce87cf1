package proxy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// maxFold bounds what is put together of a stream that the cache may keep, in bytes.
const maxFold = 8 << 20

// maxBatch is how much of a stream is written at once, in bytes, and an event.
const maxBatch = 16 << 10

// buffers are for batches. A stream has one only while it does not wait.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2<<10)) }}

// serveStream sends events on as they come. The head waits for the first event, so that a failure before it can still
// be answered with its own status, unless the wait is so long that the client needs a sign of life.
func (p *Proxy) serveStream(w http.ResponseWriter, r *http.Request, call *gateway.Call, body []byte) error {
	out := p.newKeepAlive(w, call)
	defer out.end()
	reply, err := p.attempts(r, call, body)
	if err != nil {
		out.end()
		if call.Begun() && r.Context().Err() == nil {
			p.app.ObserveTruncation(call.Provider)
		}
		return call.Fail(w, r, err)
	}
	if reply.Stream == nil { // the provider answered whole although a stream was asked for
		out.end()
		a := &gateway.Answer{Provider: call.Provider, Model: call.Upstream, Body: reply.Body, Usage: call.Usage, Created: time.Now().UTC()}
		if call.Record != nil && complete(call, reply.Body) == nil {
			call.Record.Whole(a)
		}
		var broken *dialect.Error
		if err := call.ServeAnswerStream(w, a); errors.As(err, &broken) {
			return call.Fail(w, r, broken)
		}
		return nil // where the client is gone, nobody is left to tell
	}
	defer reply.Stream.Close()
	if reply.mayFree {
		call.FreeBody()
	}

	start := time.Now()
	relay := &relay{out: out, call: call, stream: reply.Stream}
	err = relay.run()
	out.end()
	took := time.Since(start)
	call.UpstreamFor += took
	call.Usage = call.Usage.Add(relay.usage())
	up, _ := p.app.Upstream(call.Provider)
	p.finish(call, up, err, reply.took+took)
	if err == nil {
		return nil
	}
	var e *dialect.Error
	if errors.As(err, &e) && !relay.begun {
		return call.Fail(w, r, err)
	}
	call.Err = err
	if e == nil || r.Context().Err() != nil {
		return nil // the client is gone
	}
	p.app.ObserveTruncation(call.Provider)
	p.log.Warn("stream broke", zap.String("request_id", call.ID), zap.String("provider", call.Provider), zap.Error(e))
	if !e.Told {
		call.BreakStream(w, e) // the status is sent
	}
	return nil
}

// relay sends one stream on. Events that came together leave together, in one write: what has left costs the client a wait no longer
// than if each had left alone.
type relay struct {
	out    *keepAlive
	call   *gateway.Call
	stream gateway.Stream
	client *http.ResponseController

	batch  *bytes.Buffer // events that have not left yet; nil where there are none
	held   bool          // something was written since the last flush
	pieces int64         // events so far that carry a piece of the answer
	fold   dialect.Fold  // what the cache may store; nil where nothing is to be kept
	begun  bool          // the head is sent
	sample []byte        // the first event's data, kept where a usage event may have to be made
}

// run writes events until the stream ends. An error of the stream is a *dialect.Error; one of the client's connection is not.
func (l *relay) run() error {
	l.client = http.NewResponseController(l.out.w)
	if l.call.Record != nil {
		l.fold = l.call.Codec().NewFold(maxFold)
	}
	var failed error // of the client's connection
	leave := func() {
		if failed == nil {
			failed = l.out.write(l.flush)
		}
	}
	waits := gateway.OnWait(l.stream, leave)
	for failed == nil && l.stream.Next() && failed == nil {
		l.take()
		switch {
		case !waits:
			leave()
		case l.batch.Len() >= maxBatch:
			failed = l.out.write(l.write)
		}
	}
	if failed == nil {
		failed = l.out.write(l.finish)
	}
	if failed != nil {
		return errors.Join(context.Canceled, failed)
	}
	return l.stream.Err()
}

// take adds the current event to the batch, and before the last one what has to be there by then.
func (l *relay) take() {
	data := l.stream.Data()
	if l.fold != nil && l.fold.Add(data) != nil {
		l.fold = nil
	}
	if l.call.IncludeUsage && l.sample == nil {
		l.sample = bytes.Clone(data)
	}
	if !l.stream.Last() {
		l.pieces++
		l.add(l.stream.Event(), data)
		return
	}
	if l.call.IncludeUsage && l.stream.Usage() == (dialect.Usage{}) { // the provider was asked, and told none
		l.add(openai.AppendUsageEvent(nil, l.sample, l.usage()), nil)
	}
	l.keep()
	l.add(l.stream.Event(), data)
}

func (l *relay) add(event, data []byte) {
	if l.batch == nil {
		l.batch = buffers.Get().(*bytes.Buffer)
	}
	if l.call.Record != nil {
		l.out.write(func() error { l.call.Record.Event(event); return nil }) //nolint:errcheck // there is none
	}
	l.batch.Grow(len(event))
	l.batch.Write(l.call.AppendEvent(l.batch.AvailableBuffer(), event, data))
}

// write sends the batch, the first one with the head.
func (l *relay) write() error {
	if l.batch == nil {
		return nil
	}
	if !l.begun {
		l.begun = true
		l.call.FirstToken = time.Since(l.call.Started)
		l.call.BeginStream(l.out.w)
	}
	l.held = true
	_, err := l.out.w.Write(l.batch.Bytes())
	if l.batch.Cap() <= 4*maxBatch {
		l.batch.Reset()
		buffers.Put(l.batch)
	}
	l.batch = nil
	return err
}

// flush sends the batch to where the client has it.
func (l *relay) flush() error {
	if err := l.write(); err != nil || !l.held {
		return err
	}
	l.held = false
	return l.client.Flush()
}

// finish sends what is left.
func (l *relay) finish() error {
	if err := l.write(); err != nil || l.stream.Err() != nil {
		return err
	}
	return l.call.EndStream(l.out.w)
}

// keep hands a complete answer to the cache before the last event leaves.
func (l *relay) keep() {
	if l.fold == nil {
		return
	}
	body, err := l.fold.Answer()
	if err != nil {
		return
	}
	usage := l.usage()
	l.call.Record.Whole(&gateway.Answer{
		Provider: l.call.Provider, Model: l.call.Upstream, Body: l.call.Codec().SetUsage(body, usage), Usage: usage, Created: time.Now().UTC(),
	})
}

// usage is what the provider counted. Where it did not, as where a stream broke off, it is an estimate: the input by its
// size, and a token for each event.
func (l *relay) usage() dialect.Usage {
	if usage := l.stream.Usage(); usage != (dialect.Usage{}) || l.pieces == 0 {
		return usage
	}
	return dialect.Usage{Input: l.call.InputTokens, Output: l.pieces, Estimated: true}
}
