// Package keys manages the gateway's keys and teams: over HTTP with the admin credential, over Caddy's admin endpoint, and from
// the command line.
package keys

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(Keys)) }

// Keys serves the key API at /v1/api-keys/, and that of teams at /v1/teams/, to whoever has the admin credential of the
// llm_gateway app. An ordinary key opens nothing here. Requests for other paths go on to the next handler.
//
// The credential is sent as X-API-Key or as a bearer token in Authorization.
type Keys struct {
	app *gateway.App
	api *api
}

// CaddyModule returns the Caddy module information.
func (*Keys) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.llm_keys", New: func() caddy.Module { return new(Keys) }}
}

// Provision finds the gateway.
func (h *Keys) Provision(ctx caddy.Context) error {
	app, err := gateway.AppOf(ctx)
	if err != nil {
		return err
	}
	h.app = app
	h.api = &api{ring: app.Keyring(), now: time.Now}
	return nil
}

func (h *Keys) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	path, ok := pathOf(r)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	call := h.app.Enter(w, r)
	defer call.Leave()
	if call.Preflight(w, r) {
		return nil
	}
	w.Header().Set("Cache-Control", "no-store") // some answers hold a secret
	if failure := h.authorize(r); failure != nil {
		return call.Fail(w, r, failure)
	}
	answer, failure := h.api.serve(r.Context(), &request{
		method: r.Method,
		path:   path,
		query:  r.URL.Query(),
		body: func() ([]byte, *dialect.Error) {
			if failure := call.Read(r); failure != nil {
				return nil, failure
			}
			return call.Body(), nil
		},
	})
	if answer.allow != "" {
		w.Header().Set("Allow", answer.allow)
	}
	if failure != nil {
		return call.Fail(w, r, failure)
	}
	if answer.body == nil {
		call.Status = answer.status
		w.WriteHeader(answer.status)
		return nil
	}
	return call.ServeJSON(w, answer.status, answer.body)
}

// pathOf is a request's path in the API; false where it is not for the API.
func pathOf(r *http.Request) (path string, ok bool) {
	switch gateway.SurfaceOf(r.URL.Path) {
	case gateway.KeysAdmin:
		return keysPath + strings.TrimPrefix(r.URL.Path, "/v1/api-keys"), true
	case gateway.TeamsAdmin:
		return teamsPath + strings.TrimPrefix(r.URL.Path, "/v1/teams"), true
	}
	return "", false
}

// authorize lets the admin credential pass. All others get the same answer, lest it tell which keys exist.
func (h *Keys) authorize(r *http.Request) *dialect.Error {
	if secret := credential(r.Header); secret != "" {
		ok, err := h.api.ring.Admin(r.Context(), secret)
		if err != nil {
			return storeFailure(err)
		}
		if ok {
			return nil
		}
	}
	return dialect.Errorf(dialect.Authentication, "this needs the gateway's admin credential, as X-API-Key or as a bearer token; an ordinary key does not do")
}

// credential is what a request brings to show who sends it.
func credential(h http.Header) string {
	key := h.Get("X-Api-Key")
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	switch token = strings.TrimSpace(token); {
	case !strings.EqualFold(scheme, "Bearer"), token == key:
		return key
	case key == "":
		return token
	}
	return "" // two credentials are none: a guess could be the wrong one
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Keys)(nil)
	_ caddyhttp.MiddlewareHandler = (*Keys)(nil)
)
