package proxy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// maxFold bounds what is put together of a stream that the cache may keep, in bytes.
const maxFold = 8 << 20

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

// relay sends one stream on.
type relay struct {
	out    *keepAlive
	call   *gateway.Call
	stream gateway.Stream

	pieces int64        // events so far that carry a piece of the answer
	fold   dialect.Fold // what the cache may store; nil where nothing is to be kept
	begun  bool         // the head is sent
	sample []byte       // the first event's data, kept where a usage event may have to be made
}

// run writes events until the stream ends. An error of the stream is a *dialect.Error; one of the client's connection is not.
func (l *relay) run() error {
	if l.call.Record != nil {
		l.fold = l.call.Codec().NewFold(maxFold)
	}
	client := http.NewResponseController(l.out.w)
	var failed error // of the client's connection
	send := func() error {
		if !l.begun {
			l.begin()
		}
		return l.write()
	}
	flush := func() {
		if l.begun && failed == nil {
			failed = l.out.write(client.Flush)
		}
	}
	// Events that came together leave together: what has left costs the client a wait no longer than if each had left alone.
	waits := gateway.OnWait(l.stream, flush)
	for failed == nil && l.stream.Next() && failed == nil {
		if failed = l.out.write(send); !waits {
			flush()
		}
	}
	if failed != nil {
		return errors.Join(context.Canceled, failed)
	}
	if err := l.stream.Err(); err != nil {
		return err
	}
	if err := l.out.write(func() error { return l.call.EndStream(l.out.w) }); err != nil {
		return errors.Join(context.Canceled, err)
	}
	return nil
}

// begin sends the head before the first event.
func (l *relay) begin() {
	l.begun = true
	l.call.FirstToken = time.Since(l.call.Started)
	l.call.BeginStream(l.out.w)
	if l.call.IncludeUsage {
		l.sample = bytes.Clone(l.stream.Data())
	}
}

// write sends the current event, and before the last one what has to be there by then.
func (l *relay) write() error {
	if l.fold != nil && l.fold.Add(l.stream.Data()) != nil {
		l.fold = nil
	}
	if !l.stream.Last() {
		l.pieces++
		return l.send(l.stream.Event(), l.stream.Data())
	}
	if l.call.IncludeUsage && l.stream.Usage() == (dialect.Usage{}) { // the provider was asked, and told none
		if err := l.send(openai.AppendUsageEvent(nil, l.sample, l.usage()), nil); err != nil {
			return err
		}
	}
	l.keep()
	return l.send(l.stream.Event(), l.stream.Data())
}

func (l *relay) send(event, data []byte) error {
	if l.call.Record != nil {
		l.call.Record.Event(event)
	}
	return l.call.WriteEvent(l.out.w, event, data)
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
