package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// servePassed answers a call whose request and answer are passed on as they are.
func (p *Proxy) servePassed(w http.ResponseWriter, r *http.Request, call *gateway.Call) error {
	reply, err := p.attempts(r, call, call.Body())
	if err != nil {
		return call.Fail(w, r, err)
	}
	return p.pass(w, r, call, reply)
}

// pass passes an answer on.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, call *gateway.Call, reply answered) error {
	if reply.Stream != nil {
		return p.passStream(w, r, call, reply)
	}
	if call.Usage == (dialect.Usage{}) {
		call.Usage = estimate(call, int64(len(reply.Body)))
	}
	header := reply.Header
	if header == nil {
		header = make(http.Header, 2)
	}
	if header.Get("Content-Type") == "" {
		header["Content-Type"] = []string{"application/json"}
	}
	header["Content-Length"] = []string{strconv.Itoa(len(reply.Body))}
	call.BeginPassed(w, header)
	_, err := w.Write(reply.Body)
	return err
}

// estimate is the usage of an answer that tells none, by its length. Calls about files ask no model.
func estimate(call *gateway.Call, length int64) dialect.Usage {
	if call.Surface.Operation == dialect.Files {
		return dialect.Usage{}
	}
	return dialect.Usage{Input: call.InputTokens, Output: openai.MediaTokens(call.Surface.Operation, length), Estimated: true}
}

// passStream sends events or pieces on as they come. The first is there already.
func (p *Proxy) passStream(w http.ResponseWriter, r *http.Request, call *gateway.Call, reply answered) error {
	defer reply.Stream.Close()
	passage := passage{w: w, call: call, stream: reply.Stream, header: reply.Header}
	if passage.header == nil {
		passage.header = http.Header{"Content-Type": {"text/event-stream"}}
	}
	start := time.Now()
	err := passage.run()
	took := time.Since(start)
	call.UpstreamFor += took
	call.Usage = call.Usage.Add(passage.usage())
	up, _ := p.app.Upstream(call.Provider)
	p.finish(call, up, err, reply.took+took)
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
	if !passage.events() {
		panic(http.ErrAbortHandler) // the status is sent, and a broken connection is all that tells that this was not the end
	}
	call.BreakStream(w, e)
	return nil
}

// passage sends one answer on.
type passage struct {
	w      http.ResponseWriter
	call   *gateway.Call
	stream gateway.Stream
	header http.Header

	pieces, length int64 // sent so far
}

// events says whether the answer comes in events, among which an error may be told.
func (a *passage) events() bool {
	return a.call.Stream && strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream")
}

// run writes until the answer ends. An error of the answer is a *dialect.Error; one of the client's connection is not.
func (a *passage) run() error {
	if a.events() {
		a.header["Cache-Control"] = []string{"no-cache"}
		a.header["X-Accel-Buffering"] = []string{"no"}
	}
	flush := http.NewResponseController(a.w)
	for a.stream.Next() {
		if a.pieces == 0 {
			if a.call.Stream {
				a.call.FirstToken = time.Since(a.call.Started)
			}
			a.call.BeginPassed(a.w, a.header)
		}
		piece := a.stream.Event()
		a.pieces++
		a.length += int64(len(piece))
		_, err := a.w.Write(piece)
		if err == nil {
			err = flush.Flush()
		}
		if err != nil {
			return errors.Join(context.Canceled, err)
		}
	}
	if err := a.stream.Err(); err != nil {
		return err
	}
	if a.pieces == 0 { // an answer may be empty
		a.call.BeginPassed(a.w, a.header)
	}
	return nil
}

// usage is what the provider counted, else an estimate.
func (a *passage) usage() dialect.Usage {
	if usage := a.stream.Usage(); usage != (dialect.Usage{}) || a.pieces == 0 {
		return usage
	}
	if a.call.Surface.Operation == dialect.TextCompletion { // a token for each event
		return dialect.Usage{Input: a.call.InputTokens, Output: a.pieces, Estimated: true}
	}
	return estimate(a.call, a.length)
}
