package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// gather reads a registry's counters and gauges, by name and labels as they are written.
func gather(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := make([]string, 0, len(metric.GetLabel()))
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			series[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return series
}

// giveUp is where a stack has to lead to.
//
//go:noinline
func giveUp(cause any) { panic(cause) }

func TestAPanicIsCountedOnceAndGoesOn(t *testing.T) {
	app := newApp(t)
	failed := app.metrics.requests.WithLabelValues("chat_completions", OtherLabel, "500")
	for _, test := range []struct {
		name    string
		cause   any
		counted float64
	}{
		{"a panic", errors.New("a mistake"), 1},
		{"a connection that is ended on purpose", http.ErrAbortHandler, 0},
	} {
		panics, failures, inFlight := sample(t, app.metrics.panics), sample(t, failed), sample(t, app.metrics.inFlight)
		outer, w, r := enter(t, app, http.MethodPost, "/v1/chat/completions", "{}")
		outer.depth-- // it is left below, and not with the test
		var stack string
		got := func() (cause any) {
			defer func() {
				stack = string(debug.Stack())
				cause = recover()
			}()
			defer outer.Leave()
			outer.depth++
			defer app.Enter(w, r).Leave()
			giveUp(test.cause)
			return nil
		}()
		outer.depth++
		if !strings.Contains(stack, "gateway.giveUp(") {
			t.Errorf("%s: the stack does not lead to where it began:\n%s", test.name, stack)
		}
		if got != test.cause {
			t.Errorf("%s: became %v", test.name, got)
		}
		if got := sample(t, app.metrics.panics) - panics; got != test.counted {
			t.Errorf("%s: counted %v times, want %v", test.name, got, test.counted)
		}
		if got := sample(t, failed) - failures; got != test.counted {
			t.Errorf("%s: %v calls with status 500, want %v", test.name, got, test.counted)
		}
		if got := sample(t, app.metrics.inFlight) - inFlight; got != 0 {
			t.Errorf("%s: %v calls are still in flight", test.name, got)
		}
	}
}

// server is a store that may be out of reach.
type server struct {
	Store
	Database
	up bool
}

func (s *server) Reachable() bool { return s.up }
func (*server) Release() error    { return nil }
func (*server) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.far"}
}

func TestHealthIsToldAsItIsNow(t *testing.T) {
	app := newApp(t)
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(healthCollector{app}); err != nil {
		t.Fatal(err)
	}
	for name := range gather(t, registry) {
		if strings.HasPrefix(name, "gateway_store_up") {
			t.Errorf("%s, where everything is embedded", name)
		}
	}
	far := &server{up: true}
	app.store = far
	check := func(when string, want map[string]float64) {
		t.Helper()
		got := gather(t, registry)
		for series, value := range want {
			if read, ok := got[series]; !ok || read != value {
				t.Errorf("%s: %s is %v (there: %t), want %v", when, series, read, ok, value)
			}
		}
	}
	status := func(provider, status string) string {
		return fmt.Sprintf("gateway_provider_status{provider=%q,status=%q}", provider, status)
	}
	check("at first", map[string]float64{`gateway_store_up{store="far"}`: 1, status("a", "available"): 1, status("a", "degraded"): 0, status("a", "unavailable"): 0})
	far.up = false
	app.Upstreams[0].Observe(&dialect.Error{Kind: dialect.Unavailable, Retryable: true})
	check("after a failure", map[string]float64{`gateway_store_up{store="far"}`: 0, status("a", "available"): 0, status("a", "degraded"): 1, status("b", "available"): 1})
	for range unavailableAfter {
		app.Upstreams[0].Observe(&dialect.Error{Kind: dialect.Unavailable, Retryable: true})
	}
	check("after some", map[string]float64{status("a", "available"): 0, status("a", "degraded"): 0, status("a", "unavailable"): 1, status("b", "unavailable"): 0})
}

func TestCountersOfWhatTheConfigNamesBeginAtZero(t *testing.T) {
	app := newApp(t)
	app.Upstreams[1].Provider = &fakeProvider{list: []string{""}} // which knows no default model
	app.Models = []*Model{{Name: "of the config", Targets: []Target{{Provider: "a", Model: "x"}}, Fallbacks: []Target{{Provider: "b", Model: "y"}}}}
	if err := app.buildRoutes(); err != nil {
		t.Fatal(err)
	}
	app.metrics.prepare(app)
	registry := prometheus.NewRegistry()
	if _, err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	got := gather(t, registry)
	for _, series := range []string{
		`gateway_requests_total{code="200",model="of the config",surface="embeddings"}`,
		`gateway_requests_total{code="502",model="x",surface="chat_completions"}`,
		`gateway_requests_total{code="401",model="_other",surface="analyze"}`,
		`gateway_upstream_requests_total{model="of the config",outcome="ok",provider="a"}`,
		`gateway_upstream_requests_total{model="of the config",outcome="llm_provider_unavailable",provider="b"}`,
		`gateway_upstream_requests_total{model="_other",outcome="ok",provider="b"}`,
		`gateway_streams_truncated_total{provider="b"}`,
		`gateway_rate_limit_rejections_total{limit="tokens",scope="key"}`,
		`gateway_cache_results_total{result="stale",surface="chat_completions"}`,
		`gateway_ledger_dropped_total{what="calls"}`,
	} {
		if _, ok := got[series]; !ok {
			t.Errorf("there is no %s", series)
		}
	}
	for series := range got {
		if strings.HasPrefix(series, "gateway_requests_total") && strings.Contains(series, `surface="images_variations"`) {
			t.Errorf("%s is of a surface that no provider has", series)
		}
		if strings.Contains(series, `model=""`) {
			t.Errorf("%s has no name", series)
		}
	}
}

// histogram adds up a histogram's series that have a label of this value.
func histogram(t *testing.T, name, label string) (count uint64, sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if _, err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && strings.Contains(fmt.Sprint(metric.GetLabel()), label) {
				count += metric.GetHistogram().GetSampleCount()
				sum += metric.GetHistogram().GetSampleSum()
			}
		}
	}
	return count, sum
}

// Waiting for another's call is waiting for its provider, and no work of the gateway's.
func TestACollapsedCallHasNoOverhead(t *testing.T) {
	app := newApp(t)
	for _, result := range []CacheResult{CacheHit, CacheMiss, CacheCollapsed} {
		before, _ := histogram(t, "gateway_overhead_seconds", "chat_completions")
		call, _, _ := enter(t, app, http.MethodPost, "/v1/chat/completions", "{}")
		call.Status, call.Cache = http.StatusOK, result
		app.metrics.observe(call)
		after, _ := histogram(t, "gateway_overhead_seconds", "chat_completions")
		if counted := after > before; counted != (result != CacheCollapsed) {
			t.Errorf("%s: counted %t", result, counted)
		}
	}
}

// The first event came with the first token, so that the others took the rest of the time.
func TestTimePerTokenIsThatAfterTheFirst(t *testing.T) {
	app := newApp(t)
	call, _, _ := enter(t, app, http.MethodPost, "/v1/chat/completions", "{}")
	call.Status, call.Provider, call.Attempts, call.Route = http.StatusOK, "per-token", 1, app.RouteTo("x")
	call.Usage = dialect.Usage{Input: 3, Output: 11}
	call.Started = time.Now().Add(-3 * time.Second)
	call.FirstToken = time.Second
	app.metrics.observe(call)
	count, sum := histogram(t, "gen_ai_server_time_per_output_token_seconds", "per-token")
	if count != 1 || sum < .2 || sum > .25 {
		t.Errorf("%d calls with %v seconds in all for each of 10 tokens in 2 seconds", count, sum)
	}
}
