package redis

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// provision loads the store as a config would.
func provision(t *testing.T, store *Store) error {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	return store.Provision(ctx)
}

func TestTheCaddyfileSetsUpTheStore(t *testing.T) {
	for _, test := range []struct{ text, config, err string }{
		{"redis", `{}`, ""},
		{"redis {\n}", `{}`, ""},
		{
			"redis {\n url {env.REDIS_URL}\n timeout 80ms\n pool_size 1_00\n on_error deny\n l1_size 16MiB\n}",
			`{"url":"{env.REDIS_URL}","timeout":80000000,"pool_size":100,"on_error":"deny","l1_size":16777216}`, "",
		},
		{"redis redis://localhost", "", "argument"},
		{"redis {\n host localhost\n}", "", "unrecognized subdirective"},
		{"redis {\n url a\n url b\n}", "", "given twice"},
		{"redis {\n timeout soon\n}", "", "no duration"},
		{"redis {\n pool_size 0\n}", "", "no whole number"},
		{"redis {\n l1_size 0\n}", "", "no size"},
	} {
		store := new(Store)
		err := store.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: error is %v, want one with %q", test.text, err, test.err)
			}
			continue
		}
		config, _ := json.Marshal(store)
		if err != nil || string(config) != test.config {
			t.Errorf("%q: read %s, error %v; want %s", test.text, config, err, test.config)
		}
	}
}

func TestASecretThatIsMissingIsAnErrorAndOneThatIsThereIsNotShown(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	if err := provision(t, new(Store)); err == nil || !strings.Contains(err.Error(), "{env.REDIS_URL}") {
		t.Errorf("error is %v, want one that names the placeholder", err)
	}
	t.Setenv("REDIS_URL", "redis://:hunter2@localhost:1/nonsense")
	if err := provision(t, new(Store)); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error is %v, want one without the password", err)
	}
	t.Setenv("REDIS_URL", "redis://:hunter2@localhost:1")
	store := new(Store)
	if err := provision(t, store); err != nil {
		t.Fatal(err)
	}
	if config, _ := json.Marshal(store); strings.Contains(string(config), "hunter2") || strings.Contains(store.taken, "hunter2") {
		t.Errorf("the password is in %s or %s", config, store.taken)
	}
	if err := store.Release(); err != nil {
		t.Error(err)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://localhost:1")
	for _, store := range []*Store{{OnError: "panic"}, {Timeout: 1}, {URL: "gopher://localhost"}, {URL: "{env.NO_SUCH_VARIABLE}"}} {
		if err := provision(t, store); err == nil {
			t.Errorf("no error for %+v", store)
		}
	}
}

func TestAReloadGoesOnWithTheSameStateAndAnotherConfigDoesNot(t *testing.T) {
	s := startServer(t)
	t.Setenv("REDIS_URL", s.url())
	stores := []*Store{{}, {URL: "{env.REDIS_URL}"}, {OnError: Allow}}
	for _, store := range stores {
		if err := provision(t, store); err != nil {
			t.Fatal(err)
		}
	}
	if stores[0].Limiter() != stores[1].Limiter() || stores[0].Answers() != stores[1].Answers() {
		t.Error("the same config has got another state")
	}
	if stores[0].Limiter() == stores[2].Limiter() {
		t.Error("another config has got the same state")
	}
	if err := stores[0].Release(); err != nil {
		t.Error(err)
	}
	await(t, "a sign of life", func() bool { return stores[1].Ping(t.Context()) == nil })
	s.kill()
	if err := stores[1].Ping(t.Context()); err == nil {
		t.Error("a dead server gives a sign of life")
	}
	for _, store := range append(stores[1:], stores[1]) { // twice does nothing
		if err := store.Release(); err != nil {
			t.Error(err)
		}
	}
	if _, found := pool.References(stores[0].taken); found {
		t.Error("the state is still there")
	}
}

// reading is what a gauge or counter stands at.
func reading(t *testing.T, metric prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetGauge().GetValue() + out.GetCounter().GetValue()
}

func TestTheModeIsToldByAMetric(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.client(), Allow, nil)
	mode := func(name string) float64 { return reading(t, processMetrics().mode.WithLabelValues(name)) }
	if mode("redis") != 1 || mode("allow") != 0 {
		t.Errorf("redis %v, allow %v; want 1, 0", mode("redis"), mode("allow"))
	}
	s.kill()
	before := reading(t, processMetrics().fallbacks.WithLabelValues("allow"))
	for range openAfter {
		admit(t, l, -1, requests("key:a", 1, 1e9))
	}
	if mode("redis") != 0 || mode("allow") != 1 || mode("local") != 0 || mode("deny") != 0 {
		t.Errorf("redis %v, allow %v, local %v, deny %v; want 0, 1, 0, 0", mode("redis"), mode("allow"), mode("local"), mode("deny"))
	}
	if got := reading(t, processMetrics().fallbacks.WithLabelValues("allow")) - before; got != openAfter {
		t.Errorf("%v calls that redis did not decide on, want %d", got, openAfter)
	}
}
