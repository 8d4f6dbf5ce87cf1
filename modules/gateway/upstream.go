package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const providerNamespace = "llm_gateway.providers"

// Upstream is a provider under the name that the config gives it.
type Upstream struct {
	// Name is what models, clients and metrics call the provider.
	Name string `json:"name"`
	// ProviderRaw is the provider's module.
	ProviderRaw json.RawMessage `json:"provider,omitempty" caddy:"namespace=llm_gateway.providers inline_key=module"`

	// Provider is the loaded module.
	Provider Provider `json:"-"`

	failures atomic.Int32 // in a row
	failedAt atomic.Int64 // Unix nanoseconds
}

// SwitchedOn is implemented by providers that a bare config turns on when one of their usual variables is set.
type SwitchedOn interface {
	// SwitchedOnBy names the environment variables, most usual first.
	SwitchedOnBy() []string
}

// loadUpstreams loads the configured providers, or finds those that the environment turns on.
func (app *App) loadUpstreams() error {
	if len(app.Upstreams) == 0 {
		app.Upstreams = upstreamsFromEnvironment()
	}
	seen := make(map[string]bool, len(app.Upstreams))
	for _, up := range app.Upstreams {
		if seen[up.Name] {
			return fmt.Errorf("provider %s: named twice; give one of them another name", up.Name)
		}
		seen[up.Name] = true
		guest, err := app.ctx.LoadModule(up, "ProviderRaw")
		if err != nil {
			return fmt.Errorf("provider %s: %w", up.Name, err)
		}
		var ok bool
		if up.Provider, ok = guest.(Provider); !ok {
			return fmt.Errorf("provider %s: %T is no provider", up.Name, guest)
		}
	}
	return nil
}

func upstreamsFromEnvironment() []*Upstream {
	var found []*Upstream
	for _, info := range caddy.GetModules(providerNamespace) {
		module, ok := info.New().(SwitchedOn)
		if !ok {
			continue
		}
		for _, variable := range module.SwitchedOnBy() {
			if os.Getenv(variable) != "" {
				found = append(found, upstreamOf(info.ID.Name()))
				break
			}
		}
	}
	if len(found) == 0 {
		found = []*Upstream{upstreamOf("demo")}
	}
	return found
}

func upstreamOf(module string) *Upstream {
	return &Upstream{Name: module, ProviderRaw: json.RawMessage(fmt.Sprintf(`{"module":%q}`, module))}
}

// Upstream finds a provider by its name.
func (app *App) Upstream(name string) (*Upstream, bool) {
	for _, up := range app.Upstreams {
		if up.Name == name {
			return up, true
		}
	}
	return nil, false
}

// DialectFor is what to ask the provider in, for a client who speaks a dialect: the client's own where both know it.
func (up *Upstream) DialectFor(client dialect.Name) dialect.Name {
	if p, ok := up.Provider.(Polyglot); ok && p.Speaks(client) {
		return client
	}
	return up.Provider.Dialect()
}

// failureMemory is how long a failure says something about a provider.
const failureMemory = 30 * time.Second

// unavailableAfter is how many failures in a row make a provider count as unavailable.
const unavailableAfter = 3

// Observe notes how an attempt ended, for Status. A refusal that is the client's own fault says nothing of the provider, and
// neither does a client who left.
func (up *Upstream) Observe(err error) {
	if err == nil {
		up.failures.Store(0)
		return
	}
	var e *dialect.Error
	if errors.Is(err, context.Canceled) {
		return
	}
	if errors.As(err, &e) && (e.Retryable || e.HTTPStatus() >= 500) {
		up.failures.Add(1)
		up.failedAt.Store(time.Now().UnixNano())
	}
}

const (
	statusAvailable   = "available"
	statusDegraded    = "degraded"
	statusUnavailable = "unavailable"
)

var upstreamStatuses = []string{statusAvailable, statusDegraded, statusUnavailable}

// Status is how the gateway sees the provider now: available, degraded or unavailable.
func (up *Upstream) Status() string {
	failures := up.failures.Load()
	if failures == 0 || time.Since(time.Unix(0, up.failedAt.Load())) > failureMemory {
		return statusAvailable
	}
	if failures < unavailableAfter {
		return statusDegraded
	}
	return statusUnavailable
}

// Available says whether the provider may be expected to answer now.
func (up *Upstream) Available() bool { return up.Status() != statusUnavailable }
