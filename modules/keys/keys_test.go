package keys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/demo"
	_ "github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// newHandler is the handler of a real gateway over a store of its own.
func newHandler(t *testing.T, app string) *Keys {
	t.Helper()
	cfg := silentConfig()
	base, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.AppsRaw = caddy.ModuleMap{gateway.AppName: json.RawMessage(app)}
	ctx, release := caddy.NewContext(base)
	t.Cleanup(release)
	h := new(Keys)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

func appConfig(t *testing.T, more string) string {
	return fmt.Sprintf(`{"data_dir":%q,"admin_key":%q%s}`, filepath.Join(t.TempDir(), "data"), adminKey, more)
}

var passedOn = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusTeapot)
	return nil
})

func serve(t *testing.T, h *Keys, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, passedOn); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOtherPathsGoOn(t *testing.T) {
	h := newHandler(t, appConfig(t, ""))
	for _, path := range []string{"/", "/v1/analyze/", "/v1/api-keysx", "/v1/chat/completions", "/api-keys"} {
		w := serve(t, h, "POST", path, "")
		if w.Code != http.StatusTeapot || len(w.Header()) != 0 {
			t.Errorf("%s: got status %d and header %v, want it passed on untouched", path, w.Code, w.Header())
		}
	}
}

func TestOnlyTheAdminCredentialOpensTheAPI(t *testing.T) {
	h := newHandler(t, appConfig(t, ""))
	_, ordinary, err := h.app.Keyring().Create(t.Context(), gateway.NewKey{Name: "ordinary"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"X-API-Key", []string{"X-API-Key", adminKey}, http.StatusOK},
		{"a bearer token", []string{"Authorization", "Bearer " + adminKey}, http.StatusOK},
		{"a bearer token in small letters", []string{"Authorization", "bearer " + adminKey}, http.StatusOK},
		{"nothing", nil, http.StatusUnauthorized},
		{"an ordinary key", []string{"X-API-Key", ordinary}, http.StatusUnauthorized},
		{"an ordinary key as a bearer token", []string{"Authorization", "Bearer " + ordinary}, http.StatusUnauthorized},
		{"a wrong one", []string{"X-API-Key", adminKey + "x"}, http.StatusUnauthorized},
		{"its beginning", []string{"X-API-Key", adminKey[:5]}, http.StatusUnauthorized},
		{"another scheme", []string{"Authorization", "Basic " + adminKey}, http.StatusUnauthorized},
		{"no scheme", []string{"Authorization", adminKey}, http.StatusUnauthorized},
		{"an empty token", []string{"Authorization", "Bearer "}, http.StatusUnauthorized},
	}
	refusals := make(map[string]bool)
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := serve(t, h, "GET", "/v1/api-keys/", "", tc.header...)
			if w.Code != tc.status {
				t.Errorf("got status %d and %s, want %d", w.Code, w.Body, tc.status)
			}
			if w.Code == http.StatusUnauthorized {
				var body struct{ Error json.RawMessage }
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
					t.Fatal(err)
				}
				refusals[string(body.Error)] = true
			}
		})
	}
	if len(refusals) != 1 {
		t.Errorf("refusals differ: %v", refusals)
	}
}

func TestTheAPIAnswersWithAndWithoutASlash(t *testing.T) {
	h := newHandler(t, appConfig(t, ""))
	for _, slash := range []string{"", "/"} {
		w := serve(t, h, "POST", "/v1/api-keys"+slash, `{"name":"ci"}`, "X-API-Key", adminKey)
		if w.Code != http.StatusCreated || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Request-Id") == "" {
			t.Fatalf("creating: got status %d, header %v and %s", w.Code, w.Header(), w.Body)
		}
		var key keyJSON
		if err := json.Unmarshal(w.Body.Bytes(), &key); err != nil {
			t.Fatal(err)
		}
		for _, req := range [][2]string{{"GET", ""}, {"POST", "/rotate"}, {"POST", "/activate"}, {"DELETE", ""}} {
			if w := serve(t, h, req[0], "/v1/api-keys/"+key.ID+req[1]+slash, "", "X-API-Key", adminKey); w.Code != http.StatusOK {
				t.Errorf("%s %s%s: got status %d and %s", req[0], req[1], slash, w.Code, w.Body)
			}
		}
		w = serve(t, h, "DELETE", "/v1/api-keys/"+key.ID+slash+"?purge=true", "", "X-API-Key", adminKey)
		if w.Code != http.StatusNoContent || w.Body.Len() != 0 {
			t.Errorf("purging: got status %d and %q", w.Code, w.Body)
		}
	}
}

func TestErrorsHaveTheSurfacesShape(t *testing.T) {
	h := newHandler(t, appConfig(t, `,"max_body":1024`))
	tests := []struct {
		name, method, path, body string
		status                   int
		kind, field, allow       string
	}{
		{"bad JSON", "POST", "/", `{"name"`, 400, "invalid_json", "", ""},
		{"a bad field", "POST", "/", `{"name":1}`, 422, "validation_error", "name", ""},
		{"an unknown field", "POST", "/", `{"nam":"a"}`, 422, "validation_error", "nam", ""},
		{"a budget", "POST", "/", `{"budget":5}`, 422, "validation_error", "budget", ""},
		{"an unknown key", "GET", "/key_0", ``, 404, "not_found", "", ""},
		{"a wrong method", "PUT", "/", ``, 405, "method_not_allowed", "", "GET, POST"},
		{"too large a body", "POST", "/", `{"name":"` + strings.Repeat("a", 2000) + `"}`, 413, "request_too_large", "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := serve(t, h, tc.method, "/v1/api-keys"+tc.path, tc.body, "X-API-Key", adminKey)
			var got struct {
				Error struct{ Type, Message, Field string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != tc.status || got.Error.Type != tc.kind || got.Error.Field != tc.field || got.Error.Message == "" || w.Header().Get("Allow") != tc.allow {
				t.Errorf("got status %d, Allow %q and %s", w.Code, w.Header().Get("Allow"), w.Body)
			}
		})
	}
}

func TestNobodyIsAuthorizedByADeadStore(t *testing.T) {
	h := newHandler(t, appConfig(t, ""))
	h.api = deadAPI(t)
	w := serve(t, h, "GET", "/v1/api-keys/", "", "X-API-Key", adminKey)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got status %d, Retry-After %q and %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

func TestAPreflightNeedsNoCredential(t *testing.T) {
	h := newHandler(t, appConfig(t, `,"cors":["https://app.example.com"]`))
	w := serve(t, h, "OPTIONS", "/v1/api-keys/", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("got status %d and header %v", w.Code, w.Header())
	}
}

func TestTheDirectiveTakesNothing(t *testing.T) {
	for text, ok := range map[string]bool{
		"llm_keys": true, "llm_keys {\n}": true, "llm_keys always": false, "llm_keys {\nroot /keys\n}": false,
	} {
		err := new(Keys).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if (err == nil) != ok {
			t.Errorf("%q: got error %v", text, err)
		}
	}
}

func BenchmarkOtherPathsGoOn(b *testing.B) {
	h := new(Keys)
	r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ServeHTTP(w, r, passedOn); err != nil {
			b.Fatal(err)
		}
	}
}
