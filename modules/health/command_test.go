package health

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// listen serves a handler on a port of its own and returns its URL.
func listen(t *testing.T, h *Health) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, gatewaytest.Request(w, r.Method, r.URL.Path, nil), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { //nolint:errcheck // it serves all
			w.WriteHeader(http.StatusTeapot)
			return nil
		}))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// run runs the command as a shell would.
func run(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	cmd := healthCommand()
	var stdout strings.Builder
	cmd.SetOut(&stdout)
	cmd.SetErr(&strings.Builder{})
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), err
}

func TestCommandShowsAGatewayThatIsWell(t *testing.T) {
	address := listen(t, newHealth(t, ""))
	for _, url := range []string{address, address + "/"} {
		out, err := run(t, "--address", url)
		want := regexp.MustCompile(`^gateway +ok\ndatabase +up +[0-9.]+ ms\nstore +up +[0-9.]+ ms\nprovider demo +available\n$`)
		if err != nil || !want.MatchString(out) {
			t.Errorf("error %v, and\n%s", err, out)
		}
	}
}

func TestCommandFailsWhereTheGatewayCannotServe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	address := listen(t, newHealth(t, `"database":{"module":"sqlite","path":"`+filepath.ToSlash(file)+`/gateway.db"}`))
	out, err := run(t, "--address", address)
	if err == nil || !strings.Contains(err.Error(), "it is down") || !regexp.MustCompile(`database +down`).MatchString(out) {
		t.Errorf("error %v, and\n%s", err, out)
	}
}

func TestCommandFailsWhereNoGatewayAnswers(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"another page":   {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<p>It works!")) }, "is no gateway"},   //nolint:errcheck
		"another JSON":   {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"ready":true}`)) }, "is no gateway"}, //nolint:errcheck
		"not found":      {http.NotFound, "it answers HTTP 404"},
		"nobody at all":  {nil, "asking the gateway"},
		"an empty reply": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }, "is no gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			address := closed.URL
			if tc.handler != nil {
				srv := httptest.NewServer(tc.handler)
				defer srv.Close()
				address = srv.URL
			}
			out, err := run(t, "--address", address)
			if err == nil || !strings.Contains(err.Error(), tc.says) || out != "" {
				t.Errorf("%q and error %v, which does not say %q", out, err, tc.says)
			}
		})
	}
	if _, err := run(t, "--address", "http://local host"); err == nil || !strings.Contains(err.Error(), "reading the address") {
		t.Errorf("a malformed address: error %v", err)
	}
}

func TestCommandAsksWhereTheGatewayListens(t *testing.T) {
	for listen, want := range map[string]string{
		"":               "http://localhost:8000",
		":9000":          "http://localhost:9000",
		"0.0.0.0:9000":   "http://localhost:9000",
		"[::]:9000":      "http://localhost:9000",
		"127.0.0.1:9000": "http://127.0.0.1:9000",
		"[::1]:9000":     "http://[::1]:9000",
		"gateway:9000":   "http://gateway:9000",
		"gateway":        "http://gateway",
	} {
		t.Setenv("GATEWAY_ADDR", listen)
		if got := healthCommand().Flag("address").DefValue; got != want {
			t.Errorf("%q: %s, want %s", listen, got, want)
		}
	}
}

// A gateway whose dependencies hang needs checkTimeout before it can say so.
func TestCommandWaitsLongerThanTheCheck(t *testing.T) {
	if commandTimeout < checkTimeout+time.Second {
		t.Errorf("the command waits %s for a check of %s", commandTimeout, checkTimeout)
	}
}
