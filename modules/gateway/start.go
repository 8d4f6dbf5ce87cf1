package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// welcome is what the first start makes and shows, once. Each attempt has the same secrets, so that what was stored by one whose end
// nobody heard of is known again.
type welcome struct {
	key, admin         string
	keyMade, adminMade bool
}

// awaitStart has the welcome shown once all apps run, so that its curl line works when it is read.
func (app *App) awaitStart() error {
	events, err := app.ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading events app: %w", err)
	}
	return events.(*caddyevents.App).On("started", app)
}

// Handle shows the welcome. It makes the app a caddyevents.Handler.
func (app *App) Handle(context.Context, caddy.Event) error {
	if app.welcome != nil {
		app.welcome.write(os.Stdout, app.address())
		app.welcome = nil
	}
	return nil
}

// startTimeout bounds one attempt to open the key store and to make the first credentials.
const startTimeout = 10 * time.Second

// openKeys makes the first credentials. A database that the gateway can do without and that cannot be reached is waited for until ctx
// ends, while calls are answered as well as they can be.
func (app *App) openKeys(ctx context.Context) error {
	w := &welcome{key: NewSecret(KeyPrefix), admin: NewSecret(AdminKeyPrefix)}
	err := app.firstStart(ctx, w)
	if err == nil {
		app.welcome = w
		return nil
	}
	optional, ok := app.db.(Optional)
	if !ok || !optional.Optional() || !errors.Is(err, ErrUnreachable) {
		return err
	}
	app.log.Warn("the key store is out of reach; the gateway starts without it, and no key can be checked until it is there", zap.Error(err))
	go app.awaitKeys(ctx, w)
	return nil
}

// awaitKeys tries every second to make the first credentials, and shows them.
func (app *App) awaitKeys(ctx context.Context, w *welcome) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := app.firstStart(ctx, w)
		switch {
		case err == nil:
			w.write(os.Stdout, app.address())
			return
		case ctx.Err() == nil && !errors.Is(err, ErrUnreachable):
			app.log.Error("opening the key store", zap.Error(err))
			return
		}
	}
}

// firstStart makes the admin credential and the first key where the store has none.
func (app *App) firstStart(ctx context.Context, w *welcome) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if !app.keyring.isAdmin {
		if w.adminMade, err = app.keyring.makeAdmin(ctx, w.admin); err != nil {
			return err
		}
	}
	w.keyMade, err = app.keyring.makeFirst(ctx, w.key)
	return err
}

// write shows what was made, if anything was.
func (w *welcome) write(out io.Writer, address string) {
	if !w.keyMade && !w.adminMade {
		return
	}
	var b strings.Builder
	b.WriteString("\nThe gateway runs at " + address + " and made its credentials. They are shown only now:\n\n")
	if w.keyMade {
		b.WriteString("  gateway key        " + w.key + "\n")
	}
	if w.adminMade {
		b.WriteString("  admin credential   " + w.admin + "\n")
	}
	if w.keyMade {
		b.WriteString("\nTry it:\n\n  curl -s " + address + "/v1/analyze/ -H 'X-API-Key: " + w.key +
			"' -H 'Content-Type: application/json' -d '{\"prompt\": \"Translate Hello World to French\"}'\n\n")
	}
	io.WriteString(out, b.String()) //nolint:errcheck // a closed standard output is the operator's wish
}

// address is the URL of the first server that has a handler of ours.
func (app *App) address() string {
	servers, err := app.servers()
	if err != nil {
		return "http://localhost"
	}
	for _, srv := range servers {
		if len(srv.Listen) == 0 || !slices.ContainsFunc(handlersIn(srv.Routes), isOurs) {
			continue
		}
		addr, err := caddy.ParseNetworkAddressWithDefaults(srv.Listen[0], "tcp", 80)
		if err != nil || addr.IsUnixNetwork() {
			continue
		}
		host := addr.Host
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost"
		}
		scheme := "http://"
		if len(srv.TLSConnPolicies) > 0 {
			scheme = "https://"
		}
		return scheme + net.JoinHostPort(host, fmt.Sprint(addr.StartPort))
	}
	return "http://localhost"
}

// servers lists the HTTP servers by name, so that the order is the same at each start.
func (app *App) servers() ([]*caddyhttp.Server, error) {
	guest, err := app.ctx.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	httpApp := guest.(*caddyhttp.App)
	names := make([]string, 0, len(httpApp.Servers))
	for name := range httpApp.Servers {
		names = append(names, name)
	}
	slices.Sort(names)
	servers := make([]*caddyhttp.Server, len(names))
	for i, name := range names {
		servers[i] = httpApp.Servers[name]
	}
	return servers, nil
}

// checkRoutes refuses a config in which keys are checked and calls are sent, but no limit can be applied: each key's
// own limits would be a silent no-op. It refuses handlers without the llm_proxy that they serve, too.
func (app *App) checkRoutes() error {
	servers, err := app.servers()
	if err != nil {
		return err
	}
	for _, srv := range servers {
		ids := handlersIn(srv.Routes)
		has := func(name string) bool { return slices.Contains(ids, caddy.ModuleID("http.handlers."+name)) }
		if has("llm_auth") && has("llm_proxy") && !has("llm_rate_limit") {
			return fmt.Errorf("the server at %s has llm_auth and llm_proxy but no llm_rate_limit, so the limits of its keys would not hold; add llm_rate_limit",
				strings.Join(srv.Listen, ", "))
		}
		if has("llm_rate_limit") && !has("llm_proxy") {
			return fmt.Errorf("the server at %s has llm_rate_limit but no llm_proxy, so there is nothing to limit; add llm_proxy", strings.Join(srv.Listen, ", "))
		}
		if has("llm_cache") && !has("llm_proxy") {
			return fmt.Errorf("the server at %s has llm_cache but no llm_proxy, so there is nothing to cache; add llm_proxy", strings.Join(srv.Listen, ", "))
		}
		if has("llm_analyze") && !has("llm_proxy") {
			return fmt.Errorf("the server at %s has llm_analyze but no llm_proxy, so nobody would answer; add llm_proxy", strings.Join(srv.Listen, ", "))
		}
	}
	return nil
}

// handlersIn lists the module ids of all handlers in routes, those of subroutes too.
func handlersIn(routes caddyhttp.RouteList) []caddy.ModuleID {
	var ids []caddy.ModuleID
	for _, route := range routes {
		for _, handler := range route.Handlers {
			if module, ok := handler.(caddy.Module); ok {
				ids = append(ids, module.CaddyModule().ID)
			}
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				ids = append(ids, handlersIn(sub.Routes)...)
			}
		}
	}
	return ids
}

func isOurs(id caddy.ModuleID) bool { return strings.HasPrefix(string(id), "http.handlers.llm_") }

// Interface guard
var _ caddyevents.Handler = (*App)(nil)
