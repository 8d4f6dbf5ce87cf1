package anthropic

import (
	"io"
	"net/http"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// speaker is an upstream that speaks the wire format as Anthropic's does.
func speaker(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/models" {
		providertest.Says(200, "application/json", `{"data":[{"type":"model","id":"small","display_name":"Small","created_at":"2025-10-01T00:00:00Z"},{"type":"model","id":"old","created_at":"1970-01-01T00:00:00Z"}],"has_more":false}`)(w, r)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	body := gjson.ParseBytes(raw)
	switch {
	case r.Header.Get("Anthropic-Version") == "":
		providertest.Says(400, "application/json", `{"type":"error","error":{"type":"invalid_request_error","message":"anthropic-version: header is required"}}`)(w, r)
	case body.Get("model").Str == "no-such-model":
		providertest.Says(404, "application/json", `{"type":"error","error":{"type":"not_found_error","message":"model: no-such-model"}}`)(w, r)
	case body.Get("stream").Bool():
		providertest.Says(200, "text/event-stream; charset=utf-8", begin+ping+opening+pong+closing+delta+stop)(w, r)
	default:
		providertest.Says(200, "application/json", answer)(w, r)
	}
}

func TestProviderBehavesAsAllDo(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Setup {
		stalled := providertest.Serve(t, providertest.Stalls)
		paused := providertest.Serve(t, providertest.Pauses(providertest.Says(200, "text/event-stream", begin)))
		named := func(p *Provider) { p.Names = []string{"small"} }
		return providertest.Setup{
			Provider:      newProvider(t, providertest.Serve(t, speaker), nil),
			Stalled:       newProvider(t, stalled, named),
			Paused:        newProvider(t, paused, named),
			Deterministic: true,
		}
	})
}
