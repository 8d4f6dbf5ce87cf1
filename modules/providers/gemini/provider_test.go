package gemini

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

const list = `{"models":[{"name":"models/vectors","supportedGenerationMethods":["embedContent"]},{"name":"models/pictures","supportedGenerationMethods":["predict"]},
	{"name":"models/small","supportedGenerationMethods":["generateContent","countTokens"]},{"name":"tunedModels/mine"}]}`

// speaker is an upstream that speaks the wire format as Google's does.
func speaker(w http.ResponseWriter, r *http.Request) {
	switch model, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1beta/"), ":"); {
	case model == "models" && r.Method == http.MethodGet:
		providertest.Says(200, "application/json", list)(w, r)
	case model == "models/no-such-model":
		providertest.Says(404, "application/json", `{"error":{"code":404,"message":"models/no-such-model is not found for API version v1beta","status":"NOT_FOUND"}}`)(w, r)
	case method == "streamGenerateContent" && r.URL.RawQuery == "alt=sse":
		providertest.Says(200, "text/event-stream", po+ng)(w, r)
	case method == "generateContent" && r.URL.RawQuery == "":
		providertest.Says(200, "application/json; charset=UTF-8", answer)(w, r)
	default:
		providertest.Says(404, "text/html", "<html>")(w, r)
	}
}

func TestProviderBehavesAsAllDo(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Setup {
		stalled := providertest.Serve(t, providertest.Stalls)
		paused := providertest.Serve(t, providertest.Pauses(providertest.Says(200, "text/event-stream", po)))
		named := func(p *Provider) { p.Names = []string{"small"} }
		return providertest.Setup{
			Provider:      newProvider(t, providertest.Serve(t, speaker), nil),
			Stalled:       newProvider(t, stalled, named),
			Paused:        newProvider(t, paused, named),
			Deterministic: true,
		}
	})
}
