package exchange

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestTheCredentialIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	put := func(secret string) {
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &Credential{Placeholder: "{file." + file + "}"}
	check := func(when, want string) {
		t.Helper()
		if got, err := c.Read(); got != want || err != nil {
			t.Errorf("%s it is %q, %v, want %q", when, got, err, want)
		}
	}
	age := func(secret string) { c.current.Store(&reading{secret: secret, at: time.Now().Add(-rereadAfter)}) }
	put("first\n")
	check("before", "first")
	put("second\n")
	check("at once", "first")
	age("first")
	check("later", "second")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	age("second")
	check("while its file is missing", "second")
	c.current.Store(nil)
	if err := c.Check(); err == nil || strings.Contains(err.Error(), "second") {
		t.Errorf("without its file the error is %v", err)
	}
}

func TestACredentialThatCannotBeReadIsToldWithoutItsPlace(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	c := &Client{Sign: func(*http.Request, string) { t.Error("a request was signed") }}
	c.Key.Placeholder = "{file." + missing + "}"
	if err := c.Set([]string{"http://127.0.0.1:1"}, ""); err != nil {
		t.Fatal(err)
	}
	c.Open(time.Second)
	c.FirstToken, c.Idle = time.Second, time.Second
	_, err := c.Send(t.Context(), "/", nil, &gateway.Attempt{}, nil)
	var e *dialect.Error
	if !errors.As(err, &e) || e.Kind != dialect.UpstreamAuth || strings.Contains(e.Error(), missing) {
		t.Errorf("the error is %v", err)
	}
}
