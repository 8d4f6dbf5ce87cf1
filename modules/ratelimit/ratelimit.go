// Package ratelimit is the handler llm_rate_limit: it holds each caller to what the config and their key allow.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(RateLimit)) }

// RateLimit admits a call where every limit allows it: those of this handler, and, in the first such handler that a call
// meets, those of its key and of its key's team. A refused call counts nowhere.
type RateLimit struct {
	// Key is what the limits are counted by. Placeholders are replaced for each request. Default: {http.auth.user.id}, the
	// gateway key's id; the client's address where a request has none.
	Key string `json:"key,omitempty"`
	// Zone keeps the counts of this handler apart from others'. Handlers with the same zone, key and kind of limit share
	// theirs. In a Caddyfile it defaults to the name of the handler's matcher.
	Zone string `json:"zone,omitempty"`
	// Limits are this handler's own. Default: none, so that only those of keys and teams hold.
	Limits []Limit `json:"limits,omitempty"`

	app    *gateway.App
	log    *zap.Logger
	scouts gateway.Scouts

	prefix      string // of subjects
	placeholder string // what Key is, where it is one placeholder and nothing else
}

// Limit is one limit of the config.
type Limit struct {
	// Kind is what is counted: requests, tokens or concurrency.
	Kind gateway.LimitKind `json:"kind"`
	// N is how many units are allowed in any window.
	N int64 `json:"n"`
	// Window is the window's length; none for concurrency.
	Window caddy.Duration `json:"window,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*RateLimit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_rate_limit", New: func() caddy.Module { return new(RateLimit) }}
}

// Provision applies the defaults and finds the gateway.
func (l *RateLimit) Provision(ctx caddy.Context) (err error) {
	l.log = ctx.Logger()
	if l.Key == "" {
		l.Key = "{http.auth.user.id}"
	}
	if l.Zone == "" {
		l.Zone = "route"
	}
	l.prefix = "zone:" + l.Zone + ":" // a zone may be called team, too
	if name, ok := strings.CutPrefix(l.Key, "{"); ok && strings.IndexAny(name, "{}\\") == len(name)-1 && strings.HasSuffix(name, "}") {
		l.placeholder = strings.TrimSuffix(name, "}")
	}
	if l.app, err = gateway.AppOf(ctx); err != nil {
		return err
	}
	for _, limit := range l.Limits {
		l.app.ExpectRejections(l.Zone, limit.Kind)
	}
	return nil
}

// Validate refuses limits that could never, or not fail to, be met.
func (l *RateLimit) Validate() error {
	seen := make(map[Limit]bool)
	for _, limit := range l.Limits {
		switch limit.Kind {
		case gateway.LimitRequests, gateway.LimitTokens:
			if limit.Window < caddy.Duration(time.Millisecond) {
				return fmt.Errorf("%s: a window of at least 1ms is missing", limit.Kind)
			}
		case gateway.LimitConcurrency:
			if limit.Window != 0 {
				return fmt.Errorf("concurrency: has no window")
			}
		default:
			return fmt.Errorf("%q is no kind of limit; there are requests, tokens and concurrency", limit.Kind)
		}
		if limit.N < 1 {
			return fmt.Errorf("%s: %d is no limit; give at least 1", limit.Kind, limit.N)
		}
		slot := Limit{Kind: limit.Kind, Window: limit.Window}
		if seen[slot] {
			return fmt.Errorf("%s per %s is limited twice", limit.Kind, time.Duration(limit.Window))
		}
		seen[slot] = true
	}
	return nil
}

// ServeHTTP admits a call or answers 429.
func (l *RateLimit) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	call := l.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	claims, err := l.claims(call, r)
	if err != nil {
		return call.Fail(w, r, err)
	}
	if len(claims) == 0 {
		return next.ServeHTTP(w, r)
	}
	if failure := l.decide(w, r, call, claims); failure != nil {
		return call.Fail(w, r, failure)
	}
	return l.serve(w, r, next, call, claims)
}

// decide has the limits decide, and tells the client where it stands. The failure is why the call must not go on.
func (l *RateLimit) decide(w http.ResponseWriter, r *http.Request, call *gateway.Call, claims []gateway.Claim) *dialect.Error {
	denied, err := l.admit(call, r, claims)
	if err != nil {
		var failure *dialect.Error
		if errors.As(err, &failure) {
			return failure
		}
		return &dialect.Error{Kind: dialect.StoreUnavailable, Message: "the limits cannot be checked now; try again",
			RetryAfter: time.Second, Cause: fmt.Errorf("checking limits: %w", err)}
	}
	now := time.Now()
	if call.Claims == nil {
		call.Claims = slices.Clip(claims)
	} else {
		call.Claims = append(call.Claims, claims...)
	}
	var refused *gateway.Claim
	if denied >= 0 {
		refused = &claims[denied]
	}
	setHeaders(w.Header(), call.Surface.Dialect, call.Claims, refused, now)
	if refused == nil {
		return nil
	}
	call.Refused = true
	l.app.ObserveRejection(refused.Scope, refused.Limit.Kind)
	return refusal(refused, now)
}

// serve goes on with an admitted call.
func (l *RateLimit) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, call *gateway.Call, claims []gateway.Claim) error {
	defer l.settle(r, call, claims)
	defer l.scouts.Learn(call)
	return next.ServeHTTP(w, r)
}

// admit has the limiter decide, and look for the call's answer on the way where that saves a round trip.
func (l *RateLimit) admit(call *gateway.Call, r *http.Request, claims []gateway.Claim) (denied int, err error) {
	limiter := l.app.Limiter()
	looking, ok := limiter.(gateway.LookingLimiter)
	ahead := ok && !call.Ahead.Looked && l.scouts.Send(call, r)
	ctx, span := gateway.StartSpan(r.Context(), "llm_rate_limit")
	if ahead {
		denied, call.Ahead.Answer, call.Ahead.Looked, err = looking.AdmitAndLook(ctx, claims, call.Ahead.Key)
	} else {
		denied, err = limiter.Admit(ctx, claims)
	}
	endSpan(span, claims, denied, err)
	return denied, err
}

// settle gives back what was not used. It outlives the client, who may be gone.
func (l *RateLimit) settle(r *http.Request, call *gateway.Call, claims []gateway.Claim) {
	ctx := context.WithoutCancel(r.Context())
	if call.Refused { // by a limit further on
		l.app.Limiter().Cancel(ctx, claims)
		return
	}
	for i := range claims {
		claims[i].Actual = claims[i].Cost
		if claims[i].Limit.Kind == gateway.LimitTokens {
			claims[i].Actual = call.Usage.Total()
		}
	}
	l.app.Limiter().Settle(ctx, claims)
}

// claims lists what a call asks for.
func (l *RateLimit) claims(call *gateway.Call, r *http.Request) ([]gateway.Claim, *dialect.Error) {
	var own, team []gateway.Limit
	if call.Key != nil && !call.Limited {
		own = call.Key.Limits
		if call.Key.TeamRecord != nil {
			team = call.Key.TeamRecord.Limits
		}
	}
	call.Limited = call.Limited || call.Key != nil
	if len(own)+len(team)+len(l.Limits) == 0 {
		return nil, nil
	}
	claims := make([]gateway.Claim, 0, len(own)+len(team)+len(l.Limits))
	var subject, tenant string
	if len(own)+len(team) > 0 {
		subject, tenant = "key:"+call.Key.ID, call.Key.Tenant()
	}
	for _, limit := range own {
		claims = append(claims, gateway.Claim{Subject: subject, Tenant: tenant, Scope: "key", Limit: limit, Cost: 1})
	}
	for _, limit := range team { // the tenant of its keys is the team itself
		claims = append(claims, gateway.Claim{Subject: tenant, Tenant: tenant, Scope: "team", Limit: limit, Cost: 1})
	}
	if len(l.Limits) > 0 {
		who := l.subject(r)
		subject = l.prefix + who
		switch {
		case call.Key == nil || who != call.Key.ID && who != call.Key.Team:
			tenant = ""
		case tenant == "":
			tenant = call.Key.Tenant()
		}
	}
	for _, limit := range l.Limits {
		claims = append(claims, gateway.Claim{Subject: subject, Tenant: tenant, Scope: l.Zone,
			Limit: gateway.Limit{Kind: limit.Kind, N: limit.N, Window: time.Duration(limit.Window)}, Cost: 1})
	}
	return l.weigh(claims, call, r)
}

// subject is who is counted.
func (l *RateLimit) subject(r *http.Request) string {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl == nil {
		return r.RemoteAddr
	}
	var subject string
	if l.placeholder != "" {
		subject, _ = repl.GetString(l.placeholder)
	} else {
		subject = repl.ReplaceAll(l.Key, "")
	}
	if subject != "" {
		return subject
	}
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return address
}

// weigh reserves tokens for calls that a limit on tokens concerns, and drops such limits for those that use none.
func (l *RateLimit) weigh(claims []gateway.Claim, call *gateway.Call, r *http.Request) ([]gateway.Claim, *dialect.Error) {
	kept := claims[:0]
	for _, claim := range claims {
		if claim.Limit.Kind == gateway.LimitTokens {
			if call.Surface.Operation == "" || r.Method != call.Surface.Method {
				continue
			}
			if err := call.Parse(r); err != nil {
				return nil, err
			}
			claim.Cost = reservation(call, claim.Limit.N)
		}
		kept = append(kept, claim)
	}
	return kept, nil
}

// assumedOutput is how many tokens of output are reserved for a call that names no bound, at most.
const assumedOutput = 1024

// reservation is what a call may use: its input, and the largest output that it allows. Where it names no bound, a share of
// the limit is assumed, so that a small limit does not refuse the first call.
func reservation(call *gateway.Call, limit int64) int64 {
	output := call.MaxTokens
	if output == 0 && (call.Surface.Operation == dialect.Chat || call.Surface.Operation == dialect.TextCompletion) {
		output = min(assumedOutput, limit/16)
	}
	return max(1, call.InputTokens+output)
}

// refusal is the 429.
func refusal(c *gateway.Claim, now time.Time) *dialect.Error {
	e := &dialect.Error{Kind: dialect.RateLimit, RetryAfter: c.RetryAfter, Details: map[string]any{
		"limit": c.Limit.N, "remaining": c.Remaining, "reset_at": now.Add(max(c.Reset, c.RetryAfter)).UTC().Format(time.RFC3339Nano), "scope": c.Scope, "kind": c.Limit.Kind,
	}}
	if c.Limit.Kind == gateway.LimitConcurrency {
		e.Message = fmt.Sprintf("%d calls are in progress, as many as the limit %q allows at a time; try again when one has ended", c.Limit.N, c.Scope)
		return e
	}
	e.Message = fmt.Sprintf("the limit %q of %d %s in %s is reached; try again in %s", c.Scope, c.Limit.N, c.Limit.Kind, c.Limit.Window, c.RetryAfter.Round(time.Millisecond))
	return e
}

// Interface guards
var (
	_ caddy.Provisioner           = (*RateLimit)(nil)
	_ caddy.Validator             = (*RateLimit)(nil)
	_ caddyhttp.MiddlewareHandler = (*RateLimit)(nil)
)
