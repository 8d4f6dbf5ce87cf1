// Package proxy is the handler llm_proxy: it sends calls to providers and their answers back.
package proxy

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	caddy.RegisterModule(new(Proxy))
	httpcaddyfile.RegisterHandlerDirective("llm_proxy", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p := new(Proxy)
		return p, p.UnmarshalCaddyfile(h.Dispenser)
	})
}

// Proxy answers the model surfaces, /v1/models among them. It is the end of a route: what no surface has is a 404 in the
// caller's shape.
type Proxy struct {
	app *gateway.App
	log *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Proxy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_proxy", New: func() caddy.Module { return new(Proxy) }}
}

// Provision finds the gateway.
func (p *Proxy) Provision(ctx caddy.Context) (err error) {
	p.log = ctx.Logger()
	p.app, err = gateway.AppOf(ctx)
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_proxy [<matcher>]
func (p *Proxy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized subdirective %q: llm_proxy has no options", d.Val())
	}
	return nil
}

// ServeHTTP answers a call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	call := p.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	if call.Surface.Operation == "" && call.Surface != gateway.ModelsList {
		return call.Fail(w, r, dialect.Errorf(dialect.NotFound, "there is nothing at this path; the API's paths are in the gateway's documentation"))
	}
	if method := call.Surface.Method; r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", method)
		return call.Fail(w, r, dialect.Errorf(dialect.MethodNotAllowed, "use %s", method))
	}
	if call.Surface == gateway.ModelsList {
		return p.serveModels(w, r, call)
	}
	if err := call.Parse(r); err != nil {
		return call.Fail(w, r, err)
	}
	if err := call.Resolve(); err != nil {
		return call.Fail(w, r, err)
	}
	body := call.Body()
	if call.Native != nil {
		var err error
		if body, err = call.Native(); err != nil {
			return call.Fail(w, r, err)
		}
	}
	if call.Stream {
		return p.serveStream(w, r, call, body)
	}
	return p.serveWhole(w, r, call, body)
}

// serveWhole answers with one body.
func (p *Proxy) serveWhole(w http.ResponseWriter, r *http.Request, call *gateway.Call, body []byte) error {
	reply, err := p.attempts(r, call, body)
	if err != nil {
		return call.Fail(w, r, ours(call, err))
	}
	answer := reply.Body
	if call.Accept != nil {
		if answer, err = p.accept(r, call, answer); err != nil {
			return call.Fail(w, r, err)
		}
	}
	return p.deliver(w, call, answer, reply.Body)
}

// accept has the surface judge an answer, and asks once more where it says so.
func (p *Proxy) accept(r *http.Request, call *gateway.Call, body []byte) ([]byte, error) {
	answer, again, failure := call.Accept(body, false)
	if again != nil {
		reply, err := p.attempts(r, call, again)
		if err != nil {
			return nil, ours(call, err)
		}
		answer, _, failure = call.Accept(reply.Body, true)
	}
	if failure != nil { // a nil *dialect.Error in an error would not be nil
		return nil, failure
	}
	return answer, nil
}

// ours turns a provider's refusal of a body that the gateway wrote into what it is for the client: a failure behind the
// gateway, not one of the request.
func ours(call *gateway.Call, err error) error {
	var e *dialect.Error
	if call.Native == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case dialect.RateLimit:
		return &dialect.Error{Kind: dialect.Unavailable, Message: e.Message, RetryAfter: e.RetryAfter, Cause: err}
	case dialect.InvalidRequest, dialect.NotFound, dialect.ModelNotFound, dialect.TooLarge:
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider refused the call: " + e.Message, Cause: err}
	}
	return err
}

// deliver writes an answer, and lets the cache keep it before it leaves where it is complete.
func (p *Proxy) deliver(w http.ResponseWriter, call *gateway.Call, answer, native []byte) error {
	a := &gateway.Answer{Provider: call.Provider, Model: call.Upstream, Body: answer, Usage: call.Usage, Created: time.Now().UTC()}
	if call.Record != nil && complete(call.Surface, native) == nil {
		call.Record.Whole(a)
	}
	return call.ServeAnswer(w, a)
}

// complete says whether an answer may be kept. An answer that the surface judged needs no second judge.
func complete(s *gateway.Surface, body []byte) error {
	switch s {
	case gateway.ChatCompletions:
		return openai.Complete(body)
	case gateway.EmbeddingsCreate:
		return openai.CompleteEmbeddings(body)
	}
	return nil
}

// attempts asks the route's targets in turn until one answers. Nothing has been sent to the client yet.
func (p *Proxy) attempts(r *http.Request, call *gateway.Call, body []byte) (*gateway.Reply, error) {
	var last error
	for _, target := range plan(call.Route, rand.Int64N) {
		reply, err := p.attempt(r, call, target, body)
		if err == nil {
			return reply, nil
		}
		last = err
		var e *dialect.Error
		if !errors.As(err, &e) || !e.Retryable || r.Context().Err() != nil {
			break
		}
	}
	return nil, last
}

// upstreamHeaders are the client's headers that travel to the provider.
var upstreamHeaders = [...]string{"Openai-Beta", "Idempotency-Key", "Traceparent", "Tracestate"}

// attempt asks one target. The time of a stream's events is counted by serveStream.
func (p *Proxy) attempt(r *http.Request, call *gateway.Call, target gateway.Target, body []byte) (*gateway.Reply, error) {
	a := &gateway.Attempt{
		Operation: call.Surface.Operation, Model: target.Model, Body: body,
		Stream: call.Stream, WantUsage: call.IncludeUsage, RequestID: call.ID,
	}
	for _, name := range upstreamHeaders {
		if values, ok := r.Header[name]; ok {
			if a.Header == nil {
				a.Header = make(http.Header, len(upstreamHeaders))
			}
			a.Header[name] = values
		}
	}
	call.Attempts++
	call.Provider, call.Upstream = target.Provider, target.Model
	ctx, span := startAttempt(r.Context(), target.Provider, a)
	start := time.Now()
	reply, err := target.Upstream().Provider.Send(ctx, a)
	took := time.Since(start)
	if span.IsRecording() {
		traceReply(span, reply, err, took)
	}
	call.UpstreamFor += took
	if err != nil || reply.Stream == nil {
		p.finish(call, target.Upstream(), err, took)
	}
	if err != nil {
		return nil, err
	}
	call.Usage = call.Usage.Add(reply.Usage)
	return reply, nil
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

// plan is the order in which a route's targets are asked: one by weight, then the other targets, then the fallbacks.
func plan(route *gateway.Route, random func(int64) int64) []gateway.Target {
	if len(route.Targets) == 1 && len(route.Fallbacks) == 0 {
		return route.Targets
	}
	order := make([]gateway.Target, 0, len(route.Targets)+len(route.Fallbacks))
	first := pick(route.Targets, random)
	order = append(order, route.Targets[first])
	order = append(order, route.Targets[:first]...)
	order = append(order, route.Targets[first+1:]...)
	return append(order, route.Fallbacks...)
}

// pick takes a target by weight.
func pick(targets []gateway.Target, random func(int64) int64) int {
	var total int64
	for _, t := range targets {
		total += int64(t.Weight)
	}
	n := random(total)
	for i, t := range targets {
		if n -= int64(t.Weight); n < 0 {
			return i
		}
	}
	return 0
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Proxy)(nil)
	_ caddyhttp.MiddlewareHandler = (*Proxy)(nil)
	_ caddyfile.Unmarshaler       = (*Proxy)(nil)
)
