package health

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func newHealth(t testing.TB, members string) *Health {
	t.Helper()
	return gatewaytest.Handler(t, gatewaytest.Context(t, members), "llm_health", `{}`).(*Health)
}

func serve(t testing.TB, h *Health, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, gatewaytest.Request(w, method, path, nil), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatIsWellSaysSo(t *testing.T) {
	h := newHealth(t, "")
	for _, path := range []string{"/v1/health", "/v1/ready", "/v1/ready/"} {
		w := serve(t, h, http.MethodGet, path)
		body := w.Body.String()
		if w.Code != 200 || gjson.Get(body, "status").Str != "ok" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
		for _, member := range []string{"dependencies.database.status", "dependencies.store.status"} {
			if gjson.Get(body, member).Str != "up" {
				t.Errorf("%s: %s is no up in %s", path, member, body)
			}
		}
		if gjson.Get(body, "providers.demo").Str != "available" || !gjson.Get(body, "dependencies.database.latency_ms").Exists() {
			t.Errorf("%s: %s", path, body)
		}
	}
	if w := serve(t, h, http.MethodGet, "/v1/live"); w.Code != 200 || w.Body.String() != `{"status":"ok"}` {
		t.Errorf("live: %d %s", w.Code, w.Body)
	}
}

func TestADatabaseThatIsDown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHealth(t, `"database":{"module":"sqlite","path":"`+filepath.ToSlash(file)+`/gateway.db"}`)
	for path, code := range map[string]int{"/v1/health": 200, "/v1/ready": 503, "/v1/live": 200} {
		w := serve(t, h, http.MethodGet, path)
		if w.Code != code || (w.Header().Get("Retry-After") == "1") != (code == 503) {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if path == "/v1/live" {
			continue
		}
		if body := w.Body.String(); gjson.Get(body, "status").Str != "down" || gjson.Get(body, "dependencies.database.status").Str != "down" || gjson.Get(body, "dependencies.store.status").Str != "up" || strings.Contains(body, file) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestProvidersAreReportedAsTheirCallsWent(t *testing.T) {
	h := newHealth(t, "")
	up, _ := h.app.Upstream("demo")
	for _, want := range []string{"degraded", "degraded", "unavailable"} {
		up.Observe(dialect.Errorf(dialect.UpstreamFailed, "x"))
		w := serve(t, h, http.MethodGet, "/v1/ready")
		if got := gjson.Get(w.Body.String(), "providers.demo").Str; got != want || w.Code != 200 {
			t.Errorf("the provider is %s, want %s; answered is %d", got, want, w.Code)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	h := newHealth(t, "")
	if w := serve(t, h, http.MethodGet, "/v1/metrics"); w.Code != 200 || !strings.Contains(w.Body.String(), "gateway_requests_in_flight") {
		t.Errorf("answered is %d without the gateway's series", w.Code)
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	h := newHealth(t, "")
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, "/v1/models", http.StatusTeapot},
		{http.MethodGet, "/v1/healthy", http.StatusTeapot},
		{http.MethodHead, "/v1/ready", 200},
		{http.MethodPost, "/v1/health", 405},
	} {
		w := serve(t, h, tt.method, tt.path)
		if w.Code != tt.code || (w.Header().Get("Allow") == "GET, HEAD") != (tt.code == 405) {
			t.Errorf("%s %s: %d %v", tt.method, tt.path, w.Code, w.Header())
		}
	}
}

func TestUnmarshalCaddyfileTakesNothing(t *testing.T) {
	for input, ok := range map[string]bool{"llm_health": true, "llm_health x": false, "llm_health {\n x\n}": false} {
		if err := new(Health).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input)); (err == nil) != ok {
			t.Errorf("%q: %v", input, err)
		}
	}
}
