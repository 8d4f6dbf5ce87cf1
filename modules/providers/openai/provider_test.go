package openai

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// speaker is an upstream that speaks the wire format as OpenAI's does.
func speaker(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/models" {
		providertest.Says(200, "application/json", `{"object":"list","data":[{"id":"embedder"},{"id":"small","created":5,"owned_by":"us"}]}`)(w, r)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	body := gjson.ParseBytes(raw)
	switch {
	case body.Get("model").Str == "no-such-model":
		providertest.Says(404, "application/json", `{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}`)(w, r)
	case r.URL.Path == "/v1/embeddings":
		providertest.Says(200, "application/json", embedded(body))(w, r)
	case !body.Get("stream").Bool():
		providertest.Says(200, "application/json", answer)(w, r)
	case body.Get("stream_options.include_usage").Bool():
		providertest.Says(200, "text/event-stream; charset=utf-8", opening+closing+counted+finish)(w, r)
	default:
		providertest.Says(200, "text/event-stream", opening+closing+finish)(w, r)
	}
}

func embedded(body gjson.Result) string {
	texts := body.Get("input").Array()
	var items []string
	for i := range texts {
		embedding := fmt.Sprintf("[%d.5,0.25]", i)
		if body.Get("encoding_format").Str == "base64" {
			var raw []byte
			for _, x := range []float32{float32(i) + 0.5, 0.25} {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			embedding = `"` + base64.StdEncoding.EncodeToString(raw) + `"`
		}
		items = append(items, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, embedding))
	}
	return `{"object":"list","data":[` + strings.Join(items, ",") + `],"usage":{"prompt_tokens":4,"total_tokens":4}}`
}

func TestProviderBehavesAsAllDo(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Setup {
		stalled := providertest.Serve(t, providertest.Stalls)
		paused := providertest.Serve(t, providertest.Pauses(providertest.Says(200, "text/event-stream", opening)))
		named := func(p *Provider) { p.Names = []string{"small", "embedder"} }
		return providertest.Setup{
			Provider:      newProvider(t, providertest.Serve(t, speaker)+"/v1", nil),
			Stalled:       newProvider(t, stalled+"/v1", named),
			Paused:        newProvider(t, paused+"/v1", named),
			Embeddings:    "embedder",
			Deterministic: true,
		}
	})
}
