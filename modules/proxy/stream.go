package proxy

import (
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
// be answered with its own status.
func (p *Proxy) serveStream(w http.ResponseWriter, r *http.Request, call *gateway.Call, body []byte) error {
	reply, err := p.attempts(r, call, body)
	if err != nil {
		return call.Fail(w, r, err)
	}
	if reply.Stream == nil { // the provider answered whole although a stream was asked for
		a := &gateway.Answer{Provider: call.Provider, Model: call.Upstream, Body: reply.Body, Usage: call.Usage, Created: time.Now().UTC()}
		if call.Record != nil && complete(call.Surface, reply.Body) == nil {
			call.Record.Whole(a)
		}
		return call.ServeAnswerStream(w, a)
	}
	defer reply.Stream.Close()

	start := time.Now()
	err = p.relay(w, call, reply.Stream)
	took := time.Since(start)
	call.UpstreamFor += took
	call.Usage = call.Usage.Add(reply.Stream.Usage())
	up, _ := p.app.Upstream(call.Provider)
	p.finish(call, up, err, call.UpstreamFor)
	if err == nil {
		return nil
	}
	call.Err = err
	var e *dialect.Error
	if !errors.As(err, &e) || r.Context().Err() != nil {
		return nil // the client is gone
	}
	p.app.ObserveTruncation(call.Provider)
	p.log.Warn("stream broke", zap.String("request_id", call.ID), zap.String("provider", call.Provider), zap.Error(e))
	// The status is sent: what is left is an event that the official SDKs raise, and no [DONE].
	w.Write(call.AppendErrorEvent(nil, e)) //nolint:errcheck // nobody is left to tell
	http.NewResponseController(w).Flush()  //nolint:errcheck
	return nil
}

// relay writes events until the stream ends. An error of the stream is a *dialect.Error; one of the client's connection is not.
func (p *Proxy) relay(w http.ResponseWriter, call *gateway.Call, s gateway.Stream) error {
	var fold *openai.Fold
	if call.Record != nil {
		fold = openai.NewFold(maxFold)
	}
	flush := http.NewResponseController(w)
	begun := false
	for s.Next() {
		if !begun {
			begun = true
			call.FirstToken = time.Since(call.Started)
			call.BeginStream(w)
		}
		if fold != nil {
			fold = p.keep(call, s, fold)
		}
		event := s.Event()
		if call.Record != nil {
			call.Record.Event(event)
		}
		if _, err := w.Write(event); err != nil {
			return errors.Join(context.Canceled, err)
		}
		if err := flush.Flush(); err != nil {
			return errors.Join(context.Canceled, err)
		}
	}
	return s.Err()
}

// keep adds an event to what the cache may store, and hands that over before the last event leaves. It returns nil
// once there is nothing more to add.
func (p *Proxy) keep(call *gateway.Call, s gateway.Stream, fold *openai.Fold) *openai.Fold {
	if !s.Last() {
		if err := fold.Add(s.Data()); err != nil {
			return nil
		}
		return fold
	}
	body, err := fold.Answer()
	if err != nil {
		return nil
	}
	usage := call.Usage.Add(s.Usage())
	call.Record.Whole(&gateway.Answer{
		Provider: call.Provider, Model: call.Upstream, Body: openai.SetUsage(body, usage), Usage: usage, Created: time.Now().UTC(),
	})
	return nil
}
