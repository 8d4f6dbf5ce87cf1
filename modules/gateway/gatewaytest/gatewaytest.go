// Package gatewaytest makes a gateway for the tests of handlers: with the embedded stores and the demo provider, and
// without a server.
package gatewaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/demo"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/memory"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/sqlite"
)

// Context provisions a gateway whose config has the given members, such as `"max_body":2048`, and a data directory of
// its own. It is released with the test.
func Context(t testing.TB, members string) caddy.Context {
	t.Helper()
	config, err := json.Marshal(map[string]string{"data_dir": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if members != "" {
		config = append(append(config[:len(config)-1], ','), members+"}"...)
	}
	cfg := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}}}},
	}
	parent, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatalf("provisioning: %v", err)
	}
	// The app comes after its parent, since only a context of our own can be ended, and the app with it.
	cfg.AppsRaw = caddy.ModuleMap{gateway.AppName: config}
	ctx, cancel := caddy.NewContext(parent)
	t.Cleanup(cancel)
	App(t, ctx)
	return ctx
}

// App is the gateway of a context.
func App(t testing.TB, ctx caddy.Context) *gateway.App {
	t.Helper()
	app, err := gateway.AppOf(ctx)
	if err != nil {
		t.Fatalf("loading the gateway: %v", err)
	}
	return app
}

// Handler loads a handler of the given directive's name.
func Handler(t testing.TB, ctx caddy.Context, name, config string) caddyhttp.MiddlewareHandler {
	t.Helper()
	module, err := ctx.LoadModuleByID("http.handlers."+name, json.RawMessage(config))
	if err != nil {
		t.Fatalf("loading %s: %v", name, err)
	}
	return module.(caddyhttp.MiddlewareHandler)
}

// Request makes a request as a server would hand it to its first handler, which writes to w.
func Request(w http.ResponseWriter, method, target string, body io.Reader) *http.Request {
	return Prepare(w, httptest.NewRequest(method, target, body))
}

// Prepare gives a request what a server gives it.
func Prepare(w http.ResponseWriter, r *http.Request) *http.Request {
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
}
