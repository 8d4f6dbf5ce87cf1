// Package auth is the handler llm_auth: it finds out who calls.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	caddy.RegisterModule(new(Auth))
	httpcaddyfile.RegisterHandlerDirective("llm_auth", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		a := new(Auth)
		return a, a.UnmarshalCaddyfile(h.Dispenser)
	})
}

// Auth lets a request pass that carries one gateway key that works, and tells the handlers behind it whose it is: as
// the call's key, and as {http.auth.user.id}, {http.auth.user.team} and {http.auth.user.name}.
type Auth struct {
	app *gateway.App
}

// CaddyModule returns the Caddy module information.
func (*Auth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_auth", New: func() caddy.Module { return new(Auth) }}
}

// Provision finds the gateway.
func (a *Auth) Provision(ctx caddy.Context) (err error) {
	a.app, err = gateway.AppOf(ctx)
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_auth [<matcher>]
func (a *Auth) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized subdirective %q: llm_auth has no options", d.Val())
	}
	return nil
}

// ServeHTTP answers 401 where there is no key that works, and 503 where nobody can tell.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	call := a.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	key, problem := a.identify(r, call.Surface.Dialect)
	if call.Surface.Dialect == dialect.Gemini {
		hideKey(r)
	}
	if problem != nil {
		return call.Fail(w, r, problem)
	}
	call.Authenticated(r, key)
	return next.ServeHTTP(w, r)
}

// find finds the key of whoever sent a request.
func (a *Auth) find(ctx context.Context, r *http.Request, shape dialect.Name) (*gateway.Key, *dialect.Error) {
	secret, problem := credential(r, shape)
	if problem != nil {
		return nil, problem
	}
	if !gateway.WellFormedKey(secret) { // the key store need not be asked
		return nil, errUnknown
	}
	key, err := a.app.Keyring().Find(ctx, secret)
	switch {
	case errors.Is(err, gateway.ErrKeyNotFound):
		return nil, errUnknown
	case err != nil:
		return nil, &dialect.Error{
			Kind: dialect.StoreUnavailable, Message: "the key store cannot be reached, so this key cannot be checked; try again",
			RetryAfter: time.Second, Cause: fmt.Errorf("finding key: %w", err),
		}
	}
	return key, nil
}

// One sentence serves for unknown, revoked and expired keys, so that an answer tells nothing about a key.
var (
	errUnknown = &dialect.Error{Kind: dialect.Authentication, Message: "this gateway key does not work; check it, or ask for a new one"}
	errMissing = &dialect.Error{Kind: dialect.Authentication, Message: "a gateway key is missing; send it as `Authorization: Bearer sp_…` or `X-API-Key: sp_…`"}
	errTwo     = &dialect.Error{Kind: dialect.Authentication, Message: "the request carries more than one credential; send one gateway key, once"}
	errScheme  = &dialect.Error{Kind: dialect.Authentication, Message: "the Authorization header is not of the form `Bearer sp_…`"}
)

// hideKey takes a key out of the address, where clients of Google's API may put it, so that no handler behind this one sends or
// shows it. What Caddy noted of the request before stays: its access log needs a filter.
func hideKey(r *http.Request) {
	query := r.URL.Query()
	if !query.Has(keyParam) {
		return
	}
	query.Del(keyParam)
	r.URL.RawQuery = query.Encode()
	r.RequestURI = r.URL.RequestURI()
}

const keyParam = "key"

// credential finds the one gateway key of a request, wherever clients of its dialect put it. The same key in two places is
// one key; two different ones are an error, since a guess could be somebody else's identity.
func credential(r *http.Request, shape dialect.Name) (string, *dialect.Error) {
	var found string
	take := func(secret string) bool {
		if found != "" && found != secret {
			return false
		}
		found = secret
		return true
	}
	for _, value := range r.Header["Authorization"] {
		scheme, secret, ok := strings.Cut(value, " ")
		if secret = strings.TrimSpace(secret); !ok || secret == "" || !strings.EqualFold(scheme, "Bearer") {
			return "", errScheme
		}
		if !take(secret) {
			return "", errTwo
		}
	}
	places := [...][]string{r.Header["X-Api-Key"], r.Header["Api-Key"], nil, nil}
	if shape == dialect.Gemini {
		places[2], places[3] = r.Header["X-Goog-Api-Key"], r.URL.Query()[keyParam]
	}
	for _, secrets := range places {
		for _, secret := range secrets {
			if secret != "" && !take(secret) {
				return "", errTwo
			}
		}
	}
	if found == "" {
		return "", errMissing
	}
	return found, nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Auth)(nil)
	_ caddyhttp.MiddlewareHandler = (*Auth)(nil)
	_ caddyfile.Unmarshaler       = (*Auth)(nil)
)
