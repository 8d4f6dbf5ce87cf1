package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

const (
	adminRoot = "/llm"
	// maxAdminBody bounds a body at the admin endpoint, in bytes. A key with every list full stays below it.
	maxAdminBody = 4 << 20
)

// adminAPI serves the API of keys and teams at Caddy's admin endpoint, below /llm/keys/ and /llm/teams/, with
// POST /llm/keys/import beside it for keys whose secret is given.
//
// It asks for no credential: the admin endpoint is Caddy's trust boundary, and whoever reaches it can replace the
// whole config anyway.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.llm_gateway", New: func() caddy.Module { return new(adminAPI) }}
}

// Provision makes the gateway's data directory. Caddy provisions admin routers when it really starts, not when it
// validates, and before it opens the admin endpoint: so `admin unix/{$GATEWAY_DATA}/admin.sock` finds its directory
// on a fresh machine.
//
// An app that does not load is left for Caddy to report, which tries all of them right after.
func (*adminAPI) Provision(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured(gateway.AppName)
	if err != nil {
		return nil
	}
	return app.(*gateway.App).PrepareDataDir()
}

// Routes returns the API's routes.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	handler := caddy.AdminHandlerFunc(a.serve)
	var routes []caddy.AdminRoute
	for _, collection := range []string{keysPath, teamsPath} {
		routes = append(routes, caddy.AdminRoute{Pattern: adminRoot + collection, Handler: handler},
			caddy.AdminRoute{Pattern: adminRoot + collection + "/", Handler: handler})
	}
	return routes
}

// serve looks the gateway up for each request, since routers are provisioned before the apps that they belong to.
func (*adminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	app, err := caddy.ActiveContext().AppIfConfigured(gateway.AppName)
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err,
			Message: "the config that runs here has no llm_gateway"}
	}
	return serveAdmin(app.(*gateway.App).Keyring(), w, r)
}

func serveAdmin(ring *gateway.Keyring, w http.ResponseWriter, r *http.Request) error {
	a := &api{ring: ring, now: time.Now, imports: true}
	answer, failure := a.serve(r.Context(), &request{
		method: r.Method,
		path:   strings.TrimPrefix(r.URL.Path, adminRoot),
		query:  r.URL.Query(),
		body:   func() ([]byte, *dialect.Error) { return readAdminBody(w, r) },
	})
	h := w.Header()
	h.Set("Cache-Control", "no-store") // some answers hold a secret
	if answer.allow != "" {
		h.Set("Allow", answer.allow)
	}
	if failure != nil {
		return caddy.APIError{HTTPStatus: failure.HTTPStatus(), Err: failure, Message: plain(failure)}
	}
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return nil
	}
	text, err := json.Marshal(answer.body)
	if err != nil {
		return fmt.Errorf("encoding answer: %w", err)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	_, err = w.Write(text)
	return err
}

func readAdminBody(w http.ResponseWriter, r *http.Request) ([]byte, *dialect.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdminBody))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, dialect.Errorf(dialect.TooLarge, "the body is larger than %d bytes", tooLong.Limit)
	}
	if err != nil {
		return nil, &dialect.Error{Kind: dialect.InvalidRequest, Message: "the body ended before it was complete; send it again", Cause: err}
	}
	return body, nil
}

// plain is an error as one sentence, for answers that have no member for the field.
func plain(e *dialect.Error) string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Interface guards
var (
	_ caddy.AdminRouter = (*adminAPI)(nil)
	_ caddy.Provisioner = (*adminAPI)(nil)
)
