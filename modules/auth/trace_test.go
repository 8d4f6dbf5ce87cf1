package auth

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/codes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestTheTraceTellsWhoCallsAndNeverTheKey(t *testing.T) {
	works := newAuth(t, "")
	key, secret, err := works.app.Keyring().Create(t.Context(), gateway.NewKey{})
	if err != nil {
		t.Fatal(err)
	}
	fails := newAuth(t, `"database":{"module":"sqlite","path":"/dev/null/gateway.db"}`)
	for name, tt := range map[string]struct {
		auth   *Auth
		secret string
		want   map[string]any
		status codes.Code
	}{
		"a key that works": {works, secret, map[string]any{"llm_gateway.auth.outcome": "accepted", "llm_gateway.key.id": key.ID}, codes.Unset},
		"no key":           {works, "", map[string]any{"llm_gateway.auth.outcome": "refused"}, codes.Unset},
		"an unknown key":   {works, gateway.NewSecret(gateway.KeyPrefix), map[string]any{"llm_gateway.auth.outcome": "refused"}, codes.Unset},
		"no store": {fails, gateway.NewSecret(gateway.KeyPrefix),
			map[string]any{"llm_gateway.auth.outcome": "unavailable", "error.type": "store_unavailable"}, codes.Error},
	} {
		traces := gatewaytest.NewTraces(t)
		w := httptest.NewRecorder()
		r := traces.Request(gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(`{}`)))
		r.Header.Set("X-Api-Key", tt.secret)
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			traces.Span(r, "llm_auth") // it is over before the next handler begins
			return nil
		})
		if err := tt.auth.ServeHTTP(w, r, next); err != nil {
			t.Fatal(err)
		}
		span := traces.Span(r, "llm_auth")
		if got := gatewaytest.Attributes(span); !maps.Equal(got, tt.want) || span.Status().Code != tt.status || span.Status().Description != "" {
			t.Errorf("%s: %v, status %v", name, got, span.Status())
		}
	}
}

func TestAnUntracedAuthenticationAllocatesNothingForIt(t *testing.T) {
	a := newAuth(t, "")
	_, secret, err := a.app.Keyring().Create(t.Context(), gateway.NewKey{})
	if err != nil {
		t.Fatal(err)
	}
	r := gatewaytest.Request(httptest.NewRecorder(), http.MethodPost, "/v1/chat/completions", nil)
	r.Header.Set("X-Api-Key", secret)
	plain := testing.AllocsPerRun(100, func() { a.find(r.Context(), r, dialect.OpenAI) })
	if n := testing.AllocsPerRun(100, func() { a.identify(r, dialect.OpenAI) }); n != plain {
		t.Errorf("with its span it allocates %v times, without %v", n, plain)
	}
}
