package providertest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Module is a provider as Caddy runs it.
type Module interface {
	gateway.Provider
	caddyfile.Unmarshaler
	caddy.Provisioner
	caddy.Validator
	caddy.CleanerUpper
}

// Ready provisions a provider for the length of a test.
func Ready[M Module](t testing.TB, p M) M {
	t.Helper()
	t.Cleanup(func() { p.Cleanup() }) //nolint:errcheck // never fails
	if err := start(p); err != nil {
		t.Fatal(err)
	}
	return p
}

func start(p Module) error {
	if err := p.Provision(caddy.Context{}); err != nil {
		return err
	}
	return p.Validate()
}

// Serve runs an upstream for a test, and gives its address.
func Serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Says answers every call in the same way.
func Says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a server reads what it is sent
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the client may be gone
	}
}

// Stalls takes every call and sends nothing.
func Stalls(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
	<-r.Context().Done()
}

// Pauses answers every call as h does, and does not end it.
func Pauses(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// Failure makes an attempt, and fails the test where that gives an answer, an error that is no *dialect.Error, or one that tells a secret.
func Failure(t testing.TB, p gateway.Provider, a *gateway.Attempt, secrets ...string) *dialect.Error {
	t.Helper()
	reply, err := p.Send(t.Context(), a)
	if err == nil {
		if reply.Stream != nil {
			reply.Stream.Close()
		}
		t.Fatal("there was an answer")
	}
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v", err)
	}
	for _, secret := range secrets {
		if strings.Contains(e.Error()+e.Message+string(e.Body), secret) {
			t.Errorf("the error tells the credential: %v", e)
		}
	}
	return e
}
