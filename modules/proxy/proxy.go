// Package proxy is the handler llm_proxy: it sends calls to providers and their answers back.
package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Proxy)) }

// Proxy answers the model surfaces, /v1/models among them. It is the end of a route: what no surface has is a 404 in the
// caller's shape.
type Proxy struct {
	// OnUnsupported is what becomes of a call with a field that a provider's dialect cannot express: refuse answers 400, drop leaves
	// the field out and counts that. Default: refuse.
	OnUnsupported Unsupported `json:"on_unsupported,omitempty"`

	app *gateway.App
	log *zap.Logger
}

// Unsupported is what becomes of a field that a provider's dialect cannot express.
type Unsupported string

// The choices of Unsupported.
const (
	Refuse Unsupported = "refuse"
	Drop   Unsupported = "drop"
)

// CaddyModule returns the Caddy module information.
func (*Proxy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_proxy", New: func() caddy.Module { return new(Proxy) }}
}

// Provision applies the default and finds the gateway.
func (p *Proxy) Provision(ctx caddy.Context) (err error) {
	p.log = ctx.Logger()
	if p.OnUnsupported == "" {
		p.OnUnsupported = Refuse
	}
	p.app, err = gateway.AppOf(ctx)
	return err
}

// Validate refuses unknown words.
func (p *Proxy) Validate() error {
	switch p.OnUnsupported {
	case Refuse, Drop:
		return nil
	}
	return fmt.Errorf("on_unsupported: %q is none of refuse and drop", p.OnUnsupported)
}

// ServeHTTP answers a call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	call := p.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	shape, lists := modelShapes[call.Surface]
	if !lists && (call.Surface.Operation == "" || call.Codec() == nil) {
		return call.Fail(w, r, notFound(call.Surface))
	}
	if call.Surface == gateway.Files {
		return p.serveFiles(w, r, call)
	}
	if method := call.Surface.Method; r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", method)
		return call.Fail(w, r, dialect.Errorf(dialect.MethodNotAllowed, "use %s", method))
	}
	if lists {
		return p.serveModels(w, r, call, shape)
	}
	if err := call.Parse(r); err != nil {
		return call.Fail(w, r, err)
	}
	if err := call.Resolve(); err != nil {
		return call.Fail(w, r, err)
	}
	if call.Surface.Passed {
		return p.servePassed(w, r, call)
	}
	body := call.Body()
	if call.Native != nil {
		var err error
		if body, err = call.Native(); err != nil {
			return call.Fail(w, r, err)
		}
	}
	if call.Surface.Operation == dialect.CountTokens && !counts(call.Route, call.Surface.Dialect) {
		return call.ServeBody(w, countShapes[call.Surface.Dialect](nil, call.InputTokens))
	}
	if call.Stream {
		return p.serveStream(w, r, call, body)
	}
	return p.serveWhole(w, r, call, body)
}

// notFound tells that a surface is none to answer.
func notFound(s *gateway.Surface) *dialect.Error {
	if s == gateway.ResponsesStored {
		return dialect.Errorf(dialect.NotFound, "this gateway keeps no responses and fetches none that a provider has stored, since it does not know whose they are; send the conversation itself to POST /v1/responses")
	}
	return dialect.Errorf(dialect.NotFound, "there is nothing at this path; the API's paths are in the gateway's documentation")
}

// countShapes write how many tokens a prompt is, as a dialect has it.
var countShapes = map[dialect.Name]func(dst []byte, tokens int64) []byte{
	dialect.Anthropic: anthropic.AppendCount,
	dialect.Gemini:    gemini.AppendCount,
}

// counts says whether one of a route's providers can count tokens for clients of a dialect. Where none can, the gateway's estimate
// has to do.
func counts(route *gateway.Route, shape dialect.Name) bool {
	for _, targets := range [...][]gateway.Target{route.Targets, route.Fallbacks} {
		for i := range targets {
			if targets[i].Upstream().DialectFor(shape) == shape {
				return true
			}
		}
	}
	return false
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
	if call.Record != nil && complete(call, native) == nil {
		call.Record.Whole(a)
	}
	return call.ServeAnswer(w, a)
}

// complete says whether an answer may be kept. An answer that the surface judged needs no second judge.
func complete(call *gateway.Call, body []byte) error {
	switch {
	case call.Surface.Operation == dialect.Embeddings:
		return call.Codec().Embeddings.Complete(body)
	case call.Native == nil:
		return call.Codec().Complete(body)
	}
	return nil
}

// attempts asks the route's targets in turn until one answers. Nothing has been sent to the client yet.
func (p *Proxy) attempts(r *http.Request, call *gateway.Call, body []byte) (*gateway.Reply, error) {
	request := request{
		own:    written{codec: call.Codec(), body: body, lasting: call.Native != nil || call.BodyLasts()},
		stream: call.Stream, policy: dialect.Policy{Drop: p.OnUnsupported == Drop, PromptSchemas: true},
	}
	var last, gap error
	for _, target := range plan(call.Route, rand.Int64N) {
		to := request.to(&target, call.Surface)
		if to.err != nil {
			gap = to.err // another target's dialect may have what this one's has not
			continue
		}
		reply, err := p.attempt(r, call, target, &request, to)
		if err == nil {
			return reply, nil
		}
		last = err
		var e *dialect.Error
		if !errors.As(err, &e) || !e.Retryable || r.Context().Err() != nil {
			break
		}
	}
	if last == nil {
		last = gap
	}
	return nil, last
}

// attempt asks one target. The time of a stream's events is counted by serveStream.
func (p *Proxy) attempt(r *http.Request, call *gateway.Call, target gateway.Target, request *request, to *written) (*gateway.Reply, error) {
	a := &gateway.Attempt{
		Operation: call.Surface.Operation, Dialect: to.codec.Name, Model: target.Model, Body: to.body, Lasting: to.lasting, Header: upstreamHeader(r.Header, request.own.codec.Name, to.codec.Name),
		Stream: call.Stream, WantUsage: call.IncludeUsage, RequestID: call.ID,
		ContentType: call.ContentType, Method: request.ask.method, Resource: request.ask.resource,
	}
	call.Attempts++
	call.Provider, call.Upstream = target.Provider, target.Model
	p.noteDropped(call, to.dropped)
	ctx, span := startAttempt(r.Context(), target.Provider, a)
	start := time.Now()
	reply, err := target.Upstream().Provider.Send(ctx, a)
	took := time.Since(start)
	if span.IsRecording() {
		traceReply(span, to.codec, reply, err, took)
	}
	call.UpstreamFor += took
	if err == nil && to != &request.own {
		reply, err = request.translate(to, reply, call)
	}
	if err != nil || reply.Stream == nil {
		p.finish(call, target.Upstream(), err, took)
	}
	if err != nil {
		return nil, err
	}
	call.Usage = call.Usage.Add(used(call, reply))
	return reply, nil
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
	_ caddy.Validator             = (*Proxy)(nil)
	_ caddyhttp.MiddlewareHandler = (*Proxy)(nil)
)
