package exchange

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestTheTraceTellsTheServerThatIsAsked(t *testing.T) {
	for base, want := range map[string]map[string]any{
		"https://api.openai.com/v1":         {"server.address": "api.openai.com", "server.port": int64(443)},
		"http://vllm/v1":                    {"server.address": "vllm", "server.port": int64(80)},
		"http://user:secret@[::1]:8080/v1/": {"server.address": "::1", "server.port": int64(8080)},
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		traces := gatewaytest.NewTraces(t)
		r := traces.Request(httptest.NewRequest(http.MethodPost, "/", nil))
		ctx, span := gateway.StartSpan(r.Context(), "chat m")
		traceServer(ctx, u)
		span.End()
		if got := gatewaytest.Attributes(traces.Span(r, "chat m")); !maps.Equal(got, want) {
			t.Errorf("%s: %v", base, got)
		}
	}
}

func TestAnUntracedCallAllocatesNothingForItsServer(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "vllm:8000"}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { traceServer(ctx, u) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
