package keys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/logging"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestTheAdminEndpointServesTheKeyAPI(t *testing.T) {
	ring := newAPI(t).ring
	admin := func(method, target, body string) (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		return w, serveAdmin(ring, w, httptest.NewRequest(method, target, strings.NewReader(body)))
	}
	w, err := admin("POST", "/llm/keys/", `{"name":"ci"}`)
	if err != nil || w.Code != http.StatusCreated || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("creating: got status %d, header %v, error %v and %s", w.Code, w.Header(), err, w.Body)
	}
	var key keyJSON
	if err := json.Unmarshal(w.Body.Bytes(), &key); err != nil {
		t.Fatal(err)
	}
	secret := gateway.NewSecret(gateway.KeyPrefix)
	for _, req := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", "/llm/keys", "", http.StatusOK},
		{"GET", "/llm/keys/?limit=1", "", http.StatusOK},
		{"GET", "/llm/keys/" + key.ID, "", http.StatusOK},
		{"PATCH", "/llm/keys/" + key.ID, `{"team":"a"}`, http.StatusOK},
		{"POST", "/llm/keys/" + key.ID + "/rotate", `{"grace":"1m"}`, http.StatusOK},
		{"POST", "/llm/keys/import", `{"key":"` + secret + `"}`, http.StatusCreated},
		{"POST", "/llm/keys/import", `{"key":"` + secret + `"}`, http.StatusOK},
		{"DELETE", "/llm/keys/" + key.ID + "?purge=true", "", http.StatusNoContent},
	} {
		if w, err := admin(req.method, req.target, req.body); err != nil || w.Code != req.status {
			t.Errorf("%s %s: got status %d and error %v, want %d", req.method, req.target, w.Code, err, req.status)
		}
	}
	for _, req := range []struct {
		method, target, body string
		status               int
		says, allow          string
	}{
		{"POST", "/llm/keys/", `{"team":"a b"}`, http.StatusUnprocessableEntity, "team: this must be", ""},
		{"GET", "/llm/keys/" + key.ID, "", http.StatusNotFound, "there is no key", ""},
		{"PUT", "/llm/keys/", "", http.StatusMethodNotAllowed, "this path takes", "GET, POST"},
		{"POST", "/llm/keys/", strings.Repeat(" ", maxAdminBody+1), http.StatusRequestEntityTooLarge, "larger than", ""},
	} {
		w, err := admin(req.method, req.target, req.body)
		refusal, ok := err.(caddy.APIError)
		if !ok || refusal.HTTPStatus != req.status || !strings.Contains(refusal.Message, req.says) {
			t.Errorf("%s %s: got error %#v, want status %d and %q", req.method, req.target, err, req.status, req.says)
		}
		if got := w.Header().Get("Allow"); got != req.allow {
			t.Errorf("%s %s: got Allow %q, want %q", req.method, req.target, got, req.allow)
		}
	}
}

// runGateway runs a real Caddy with a gateway. Its admin endpoint is a socket in the gateway's data directory, which
// does not exist before.
func runGateway(t *testing.T) (admin adminConfig, logFile string) {
	t.Helper()
	t.Setenv("KEYS_TEST_ADMIN", adminKey)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	admin.Listen = "unix/" + filepath.Join(data, "admin.sock")
	logFile = filepath.Join(dir, "caddy.log")
	run(t, fmt.Sprintf(`{
		"admin": {"listen": %q, "config": {"persist": false}},
		"logging": {"logs": {"default": {"level": "DEBUG", "writer": {"output": "file", "filename": %q}}}},
		"apps": {"llm_gateway": {"data_dir": %q, "admin_key": "{env.KEYS_TEST_ADMIN}"}}
	}`, admin.Listen, logFile, data))
	return admin, logFile
}

func run(t *testing.T, config string) {
	t.Helper()
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestNoSecretReachesTheLog(t *testing.T) {
	admin, logFile := runGateway(t)
	r, err := newRemote(admin)
	if err != nil {
		t.Fatal(err)
	}
	secret := gateway.NewSecret(gateway.KeyPrefix)
	var made, rotated keyJSON
	text, err := r.do(t.Context(), "POST", "/keys/", []byte(`{"name":"ci"}`))
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err = r.do(t.Context(), "POST", "/keys/"+made.ID+"/rotate", nil)
	if err == nil {
		err = json.Unmarshal(text, &rotated)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(t.Context(), "POST", "/keys/import", []byte(`{"key":"`+secret+`"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(t.Context(), "POST", "/keys/import", []byte(`{"key":"`+secret+`x"}`)); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("importing no key: got error %v", err)
	}
	log, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "/llm/keys/import") {
		t.Fatal("the log does not show the requests, so this test shows nothing")
	}
	for name, word := range map[string]string{"a made": made.Key, "a rotated": rotated.Key, "an imported": secret, "the admin's": adminKey} {
		if at := strings.Index(string(log), word); word == "" || at >= 0 {
			t.Errorf("the log has %s secret: %.200s", name, log[max(0, at-100):])
		}
	}
}

func TestACaddyWithoutAGatewaySaysSo(t *testing.T) {
	dir := t.TempDir()
	admin := adminConfig{Listen: "unix/" + filepath.Join(dir, "admin.sock")}
	run(t, fmt.Sprintf(`{"admin": {"listen": %q, "config": {"persist": false}}}`, admin.Listen))
	r, err := newRemote(admin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(t.Context(), "GET", "/keys/", nil); err == nil || err.Error() != "the config that runs here has no llm_gateway" {
		t.Errorf("got error %v", err)
	}
}
