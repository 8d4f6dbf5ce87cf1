package proxy

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// answered is a provider's reply, and how long it took: of a stream, to its first event.
type answered struct {
	*gateway.Reply
	took    time.Duration
	mayFree bool // nothing of the reply needs the client's body
}

// attempts asks the route's targets in turn until one answers. Nothing of an answer has been sent to the client yet.
func (p *Proxy) attempts(r *http.Request, call *gateway.Call, body []byte) (answered, error) {
	request := request{
		own:    written{codec: call.Codec(), body: body, lasting: call.Native != nil || call.BodyLasts()},
		stream: call.Stream, policy: p.policy(call),
	}
	c := course{order: plan(call.Route, rand.Int64N), retries: int(p.Retries), tryFor: time.Duration(p.TryDuration)}
	for {
		i, wait, ok := c.next(time.Now())
		if !ok {
			return answered{}, c.failure()
		}
		if wait > 0 {
			if err := sleep(r.Context(), wait); err != nil {
				return answered{}, err
			}
			call.UpstreamFor += wait
		}
		target := &c.order[i]
		to := request.to(target, call.Surface)
		if to.err != nil {
			c.pass(to.err)
			continue
		}
		c.ask()
		reply, err := p.attempt(r, call, target, &request, to)
		if err == nil {
			return reply, nil
		}
		if r.Context().Err() != nil {
			return answered{}, err
		}
		c.fail(i, err, time.Now())
	}
}

// sleep waits, unless the client leaves.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt asks one target. The time of a stream's events is counted by serveStream.
func (p *Proxy) attempt(r *http.Request, call *gateway.Call, target *gateway.Target, request *request, to *written) (answered, error) {
	a := &gateway.Attempt{
		Operation: call.Surface.Operation, Dialect: to.codec.Name, Model: target.Model, Body: to.body, Lasting: to.lasting, Header: upstreamHeader(r.Header, request.own.codec.Name, to.codec.Name),
		Stream: call.Stream, WantUsage: call.IncludeUsage, RequestID: call.ID, Timeouts: p.timeouts,
		ContentType: call.ContentType, Method: request.ask.method, Resource: request.ask.resource,
	}
	call.Asking(target.Provider, target.Model)
	p.noteDropped(call, to.dropped)
	ctx, span := startAttempt(r.Context(), target.Provider, a)
	start := time.Now()
	reply, err := p.send(ctx, call, target, a)
	took := time.Since(start)
	if span.IsRecording() {
		traceReply(span, to.codec, reply, err, took)
	}
	if err == nil && to != &request.own {
		reply, err = request.translate(to, reply, call)
		took = time.Since(start) // a stream is read until it gives the client something
	}
	call.UpstreamFor += took
	if err != nil || reply.Stream == nil {
		p.finish(call, target.Upstream(), err, took)
	}
	if err != nil {
		return answered{}, blameless(call, err)
	}
	call.AddUsage(used(call, reply))
	// A translated stream of the Responses API repeats parts of what was asked.
	return answered{reply, took, to == &request.own || request.own.codec.Name != dialect.Responses}, nil
}

// noteDropped counts the client's fields that were left out for a provider.
func (p *Proxy) noteDropped(call *gateway.Call, fields []string) {
	if len(fields) == 0 {
		return
	}
	p.app.ObserveDropped(call.Provider, len(fields))
	if entry := p.log.Check(zap.DebugLevel, "fields left out"); entry != nil {
		entry.Write(zap.String("request_id", call.ID), zap.String("provider", call.Provider), zap.Strings("fields", fields))
	}
}

// finish notes how an attempt ended.
func (p *Proxy) finish(call *gateway.Call, up *gateway.Upstream, err error, took time.Duration) {
	p.app.ObserveAttempt(call, up.Name, err, took)
	up.Observe(err)
	if err != nil {
		if entry := p.log.Check(zap.DebugLevel, "attempt failed"); entry != nil {
			entry.Write(zap.String("request_id", call.ID), zap.String("provider", up.Name), zap.String("model", call.Upstream), zap.Error(err))
		}
	}
}
