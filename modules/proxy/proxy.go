// Package proxy is the handler llm_proxy: it sends calls to providers and their answers back.
package proxy

import (
	"fmt"
	"net/http"
	"sync"
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
	// Retries is how many attempts may follow the first one. Where it is more than there are other targets, those that may do better
	// are asked again. Default: as many as there are other targets and fallbacks.
	Retries int64 `json:"lb_retries,omitempty"`
	// TryDuration is how long after the first attempt others may begin. Until then targets that may do better are asked again and
	// again, where Retries does not say how often. Default: none.
	TryDuration caddy.Duration `json:"lb_try_duration,omitempty"`
	// ConnectTimeout bounds the dial to a provider and the TLS handshake, each. A provider's own goes before it. Default: 3s.
	ConnectTimeout caddy.Duration `json:"connect_timeout,omitempty"`
	// FirstTokenTimeout bounds the wait for the first event of a stream, and for a whole answer's head. A provider's own goes before
	// it. Default: 60s.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`
	// IdleTimeout bounds the wait between two events, and between two reads of a whole answer. A provider's own goes before it.
	// Default: 120s.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`
	// Timeout bounds an attempt, to the end of its answer. A provider's own goes before it. Default: none.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// KeepAliveInterval is how long a stream may be silent before its client gets a sign of life; negative for none. The first one
	// sends the status 200, so that what fails from then on is told in the stream. Default: 15s.
	KeepAliveInterval caddy.Duration `json:"keepalive_interval,omitempty"`

	app      *gateway.App
	log      *zap.Logger
	timeouts gateway.Timeouts

	untempered sync.Map // targets, as <provider>/<model>, that refuse a temperature
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
	if p.KeepAliveInterval == 0 {
		p.KeepAliveInterval = caddy.Duration(defaultKeepAlive)
	}
	p.timeouts = gateway.Timeouts{
		Connect: time.Duration(p.ConnectTimeout), FirstToken: time.Duration(p.FirstTokenTimeout),
		Idle: time.Duration(p.IdleTimeout), Total: time.Duration(p.Timeout),
	}
	p.app, err = gateway.AppOf(ctx)
	return err
}

// Validate refuses unknown words and negative numbers.
func (p *Proxy) Validate() error {
	switch p.OnUnsupported {
	case Refuse, Drop:
	default:
		return fmt.Errorf("on_unsupported: %q is none of refuse and drop", p.OnUnsupported)
	}
	if p.Retries < 0 {
		return fmt.Errorf("lb_retries: %d is negative", p.Retries)
	}
	for name, d := range map[string]caddy.Duration{
		"lb_try_duration": p.TryDuration, "connect_timeout": p.ConnectTimeout, "first_token_timeout": p.FirstTokenTimeout,
		"idle_timeout": p.IdleTimeout, "timeout": p.Timeout,
	} {
		if d < 0 {
			return fmt.Errorf("%s: %s is negative", name, time.Duration(d))
		}
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

// Interface guards
var (
	_ caddy.Provisioner           = (*Proxy)(nil)
	_ caddy.Validator             = (*Proxy)(nil)
	_ caddyhttp.MiddlewareHandler = (*Proxy)(nil)
)
