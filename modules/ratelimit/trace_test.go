package ratelimit

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestTheTraceTellsWhatWasDecided(t *testing.T) {
	works := gatewayOf(t, `{"zone":"site","limits":[{"kind":"requests","n":1,"window":"1h"}]}`)
	broken := []*RateLimit{gatewaytest.Handler(t, gatewaytest.Context(t, `"store":{"module":"broken"}`), "llm_rate_limit", `{}`).(*RateLimit)}
	for _, tt := range []struct { // in this order
		name     string
		handlers []*RateLimit
		want     map[string]any
		status   codes.Code
	}{
		{"the first call", works, map[string]any{"llm_gateway.limit.decision": "admitted"}, codes.Unset},
		{"the second", works, map[string]any{"llm_gateway.limit.decision": "refused", "llm_gateway.limit.scope": "site", "llm_gateway.limit.kind": "requests"}, codes.Unset},
		{"no store", broken, map[string]any{"error.type": "store_unavailable"}, codes.Error},
	} {
		traces := gatewaytest.NewTraces(t)
		w := httptest.NewRecorder()
		r := traces.Request(gatewaytest.Request(w, http.MethodPost, chatPath, strings.NewReader(question)))
		call := tt.handlers[0].app.Enter(w, r)
		call.Key = keyWith(requests(1000, time.Hour))
		if err := chain(tt.handlers, uses(1)).ServeHTTP(w, r); err != nil {
			t.Fatal(err)
		}
		call.Leave()
		span := traces.Span(r, "llm_rate_limit")
		if got := gatewaytest.Attributes(span); !maps.Equal(got, tt.want) || span.Status().Code != tt.status || span.Status().Description != "" {
			t.Errorf("%s: %v, status %v", tt.name, got, span.Status())
		}
	}
}

func TestWithoutALimitThereIsNoSpan(t *testing.T) {
	handlers := gatewayOf(t, `{}`)
	traces := gatewaytest.NewTraces(t)
	w := httptest.NewRecorder()
	r := traces.Request(gatewaytest.Request(w, http.MethodPost, chatPath, strings.NewReader(question)))
	if err := chain(handlers, uses(1)).ServeHTTP(w, r); err != nil || len(traces.Names()) != 0 {
		t.Errorf("%v, spans %q", err, traces.Names())
	}
}

func TestAnUntracedDecisionAllocatesNothingForIt(t *testing.T) {
	l := gatewayOf(t, `{}`)[0]
	r := gatewaytest.Request(httptest.NewRecorder(), http.MethodPost, chatPath, nil)
	call := new(gateway.Call)
	claims := []gateway.Claim{{Subject: "key:a", Scope: "key", Limit: requests(1<<40, time.Hour), Cost: 1}}
	decide := func(admit func() (int, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := admit(); err != nil {
				t.Fatal(err)
			}
			l.app.Limiter().Settle(r.Context(), claims)
		})
	}
	plain := decide(func() (int, error) { return l.app.Limiter().Admit(r.Context(), claims) })
	if n := decide(func() (int, error) { return l.admit(call, r, claims) }); n != plain {
		t.Errorf("with its span it allocates %v times, without %v", n, plain)
	}
}
