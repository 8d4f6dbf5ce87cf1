package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// BenchmarkServeHTTP is a request with a key that is known, up to the next handler.
func BenchmarkServeHTTP(b *testing.B) {
	a := newAuth(b, "")
	_, secret, err := a.app.Keyring().Create(b.Context(), gateway.NewKey{Name: "laptop", Team: "red"})
	if err != nil {
		b.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	defer a.app.Enter(w, r).Leave() // so that the call is made once
	passed := 0
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		passed++
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := a.ServeHTTP(w, r, next); err != nil {
			b.Fatal(err)
		}
	}
	if passed == 0 {
		b.Errorf("no request passed: %d %s", w.Code, w.Body)
	}
}
