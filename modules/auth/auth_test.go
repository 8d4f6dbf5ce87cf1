package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestCredentialIsFoundWhereverClientsPutIt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		path    string
		headers []string
		want    string
		problem error
	}{
		{"none", "/v1/models", nil, "", errMissing},
		{"bearer", "/v1/models", []string{"Authorization", "Bearer a"}, "a", nil},
		{"bearer in lower case", "/v1/models", []string{"Authorization", "bearer a"}, "a", nil},
		{"bearer with more spaces", "/v1/models", []string{"Authorization", "Bearer   a "}, "a", nil},
		{"x-api-key", "/v1/models", []string{"X-Api-Key", "a"}, "a", nil},
		{"api-key", "/v1/models", []string{"Api-Key", "a"}, "a", nil},
		{"x-goog-api-key", "/v1beta/models", []string{"X-Goog-Api-Key", "a"}, "a", nil},
		{"key in the query", "/v1beta/models?key=a", nil, "a", nil},
		{"x-goog-api-key at version 1", "/v1/models/m:generateContent", []string{"X-Goog-Api-Key", "a"}, "a", nil},
		{"x-goog-api-key elsewhere", "/v1/chat/completions", []string{"X-Goog-Api-Key", "a"}, "", errMissing},
		{"key in the query elsewhere", "/v1/chat/completions?key=a", nil, "", errMissing},
		{"the same in two places", "/v1/models", []string{"Authorization", "Bearer a", "X-Api-Key", "a"}, "a", nil},
		{"the same twice", "/v1/models", []string{"X-Api-Key", "a", "X-Api-Key", "a"}, "a", nil},
		{"the same in all places", "/v1beta/models?key=a&key=a", []string{"Authorization", "Bearer a", "X-Api-Key", "a", "Api-Key", "a", "X-Goog-Api-Key", "a"}, "a", nil},
		{"two in two places", "/v1/models", []string{"Authorization", "Bearer a", "X-Api-Key", "b"}, "", errTwo},
		{"two in one place", "/v1/models", []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "", errTwo},
		{"two in the query", "/v1beta/models?key=a&key=b", nil, "", errTwo},
		{"another scheme", "/v1/models", []string{"Authorization", "Basic a"}, "", errScheme},
		{"another scheme beside a key", "/v1/models", []string{"Authorization", "Basic a", "X-Api-Key", "a"}, "", errScheme},
		{"no scheme", "/v1/models", []string{"Authorization", "a"}, "", errScheme},
		{"a scheme alone", "/v1/models", []string{"Authorization", "Bearer"}, "", errScheme},
		{"a scheme and a space", "/v1/models", []string{"Authorization", "Bearer "}, "", errScheme},
		{"empty x-api-key", "/v1/models", []string{"X-Api-Key", ""}, "", errMissing},
		{"empty beside a key", "/v1/models", []string{"X-Api-Key", "", "Api-Key", "a"}, "a", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			got, problem := credential(r, gateway.SurfaceOf(r.URL.Path).Dialect)
			if got != tt.want || (problem == nil) != (tt.problem == nil) || problem != nil && problem != tt.problem {
				t.Errorf("the credential is %q, %v, want %q, %v", got, problem, tt.want, tt.problem)
			}
		})
	}
}

func FuzzCredential(f *testing.F) {
	f.Add("Bearer a", "a", "b", "/v1beta/x?key=c")
	f.Add("Bearer  ", "", "", "/v1/x?key=%zz")
	f.Fuzz(func(t *testing.T, authorization, xAPIKey, apiKey, target string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{"Authorization": {authorization}, "X-Api-Key": {xAPIKey}, "Api-Key": {apiKey}}
		if u, err := r.URL.Parse(target); err == nil {
			r.URL = u
		}
		secret, problem := credential(r, gateway.SurfaceOf(r.URL.Path).Dialect)
		if (secret == "") != (problem != nil) {
			t.Fatalf("the credential is %q, %v", secret, problem)
		}
		// What is taken is what each place holds that holds anything.
		for _, held := range []string{xAPIKey, apiKey} {
			if problem == nil && held != "" && held != secret {
				t.Errorf("%q is taken although %q is there too", secret, held)
			}
		}
	})
}

// newAuth makes the handler in a gateway of its own.
func newAuth(t testing.TB, members string) *Auth {
	t.Helper()
	return gatewaytest.Handler(t, gatewaytest.Context(t, members), "llm_auth", `{}`).(*Auth)
}

func serve(t testing.TB, a *Auth, path, secret string, next caddyhttp.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, path, strings.NewReader(`{}`))
	if secret != "" {
		r.Header.Set("X-Api-Key", secret)
	}
	if next == nil {
		next = func(http.ResponseWriter, *http.Request) error {
			t.Error("the request passed")
			return nil
		}
	}
	if err := a.ServeHTTP(w, r, next); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAKeyThatWorksPassesWithItsName(t *testing.T) {
	a := newAuth(t, "")
	key, secret, err := a.app.Keyring().Create(t.Context(), gateway.NewKey{Name: "laptop", Team: "red"})
	if err != nil {
		t.Fatal(err)
	}
	passed := false
	serve(t, a, "/v1/chat/completions", secret, func(_ http.ResponseWriter, r *http.Request) error {
		passed = true
		if call := gateway.CallFrom(r); call == nil || call.Key == nil || call.Key.ID != key.ID {
			t.Errorf("the call is %+v", call)
		}
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if got := repl.ReplaceAll("{http.auth.user.id} {http.auth.user.team} {http.auth.user.name}", "-"); got != key.ID+" red laptop" {
			t.Errorf("the user is %q", got)
		}
		return nil
	})
	if !passed {
		t.Error("the request did not pass")
	}
}

func TestWhoHasNoKeyIsToldSoInTheSurfacesShape(t *testing.T) {
	a := newAuth(t, "")
	key, revoked, err := a.app.Keyring().Create(t.Context(), gateway.NewKey{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.app.Keyring().Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	var told string
	for name, secret := range map[string]string{
		"none": "", "unknown": gateway.NewSecret(gateway.KeyPrefix), "revoked": revoked, "malformed": "x",
	} {
		w := serve(t, a, "/v1/chat/completions", secret, nil)
		body := w.Body.String()
		if w.Code != 401 || gjson.Get(body, "error.code").Str != "invalid_api_key" || w.Header().Get("WWW-Authenticate") != `Bearer realm="llm"` {
			t.Errorf("%s: %d %s %v", name, w.Code, body, w.Header())
		}
		if name != "none" {
			if told == "" {
				told = body
			}
			if body != told {
				t.Errorf("%s: an answer tells keys apart: %s and %s", name, body, told)
			}
		}
		if secret != "" && strings.Contains(body, secret) && len(secret) > 1 {
			t.Errorf("%s: the answer holds the secret", name)
		}

		w = serve(t, a, "/v1/analyze/", secret, nil)
		if w.Code != 401 || gjson.Get(w.Body.String(), "error.type").Str != "authentication_error" || gjson.Get(w.Body.String(), "request_id").Str != w.Header().Get("X-Request-Id") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestAStoreThatCannotBeAskedIs503(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not a directory")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := json.Marshal(filepath.Join(file, "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	a := newAuth(t, `"database":{"module":"sqlite","path":`+string(path)+`}`)
	secret := gateway.NewSecret(gateway.KeyPrefix)
	w := serve(t, a, "/v1/chat/completions", secret, nil)
	if w.Code != 503 || gjson.Get(w.Body.String(), "error.code").Str != "service_unavailable" || w.Header().Get("Retry-After") != "1" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("the answer is %d %s %v", w.Code, w.Body, w.Header())
	}
	if strings.Contains(w.Body.String(), file) {
		t.Errorf("the client is told where the store is: %s", w.Body)
	}
	w = serve(t, a, "/v1/analyze/", secret, nil)
	if w.Code != 503 || gjson.Get(w.Body.String(), "error.type").Str != "llm_provider_unavailable" {
		t.Errorf("the answer is %d %s", w.Code, w.Body)
	}
}

func TestAPreflightNeedsNoKey(t *testing.T) {
	a := newAuth(t, `"cors":["https://app.example.com"]`)
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodOptions, "/v1/chat/completions", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "POST")
	if err := a.ServeHTTP(w, r, nil); err != nil || w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("the answer is %d %v, %v", w.Code, w.Header(), err)
	}
}

func TestUnmarshalCaddyfileTakesNothing(t *testing.T) {
	for input, ok := range map[string]bool{"llm_auth": true, "llm_auth x": false, "llm_auth {\n x\n}": false} {
		if err := new(Auth).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input)); (err == nil) != ok {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func TestAKeyInTheAddressIsGoneBehindAuthentication(t *testing.T) {
	a := newAuth(t, "")
	_, secret, err := a.app.Keyring().Create(t.Context(), gateway.NewKey{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/v1beta/models/m:streamGenerateContent?alt=sse&key=" + secret: "/v1beta/models/m:streamGenerateContent?alt=sse",
		"/v1beta/models?key=" + secret:                                 "/v1beta/models",
		"/v1beta/models?%6bey=" + secret:                               "/v1beta/models",
	} {
		reached := false
		serve(t, a, path, secret, func(_ http.ResponseWriter, r *http.Request) error {
			reached = true
			if r.RequestURI != want || r.URL.RequestURI() != want {
				t.Errorf("%s becomes %s", path, r.RequestURI)
			}
			return nil
		})
		if !reached {
			t.Errorf("%s is refused", path)
		}
	}
	// Elsewhere it is a parameter as any other.
	serve(t, a, "/v1/embeddings?key=x", secret, func(_ http.ResponseWriter, r *http.Request) error {
		if r.RequestURI != "/v1/embeddings?key=x" {
			t.Errorf("it becomes %s", r.RequestURI)
		}
		return nil
	})
}
