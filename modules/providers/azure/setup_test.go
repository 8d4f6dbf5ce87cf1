package azure

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canary   = "azure-canary-credential"
	question = `{"model":"fast","messages":[{"role":"user","content":"ping"}]}`
	answer   = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],` +
		`"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`

	filtered = `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}` + "\n\n"
	opening  = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"pong"},"finish_reason":null,"content_filter_results":{}}]}` + "\n\n"
	joined   = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"pong"},"finish_reason":null,"content_filter_results":{}}],` +
		`"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}` + "\n\n"
	closing = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	counted = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}` + "\n\n"
	finish  = "data: [DONE]\n\n"

	vectors = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"model":"ada","usage":{"prompt_tokens":4,"total_tokens":4}}`
)

// resource is an Azure OpenAI resource: it refuses what Azure refuses, and answers for its one deployment.
func resource(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	body := gjson.ParseBytes(raw)
	refuse := func(status int, code string) {
		providertest.Says(status, "application/json", `{"error":{"code":"`+code+`","message":"Azure's own words"}}`)(w, r)
	}
	if r.Header.Get("Api-Key") != canary && r.Header.Get("Authorization") != "Bearer "+canary {
		refuse(401, "401")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/openai/v1/")
	deployment := body.Get("model").Str
	if !ok {
		if deployment, path, ok = strings.Cut(strings.TrimPrefix(r.URL.Path, "/openai/deployments/"), "/"); !ok || r.URL.Query().Get("api-version") == "" {
			refuse(404, "404")
			return
		}
	} else if r.URL.RawQuery != "" {
		refuse(400, "BadRequest")
		return
	}
	switch {
	case deployment != "my-deployment":
		refuse(404, "DeploymentNotFound")
	case path == "embeddings":
		providertest.Says(200, "application/json", vectors)(w, r)
	case path != "chat/completions":
		refuse(404, "404")
	case !body.Get("stream").Bool():
		providertest.Says(200, "application/json", answer)(w, r)
	case body.Get("stream_options.include_usage").Bool():
		providertest.Says(200, "text/event-stream; charset=utf-8", filtered+opening+closing+counted+finish)(w, r)
	default:
		providertest.Says(200, "text/event-stream", filtered+opening+closing+finish)(w, r)
	}
}

// newProvider provisions a provider of a resource. set changes its config first.
func newProvider(t testing.TB, endpoint string, set func(p *Provider)) *Provider {
	t.Helper()
	t.Setenv("AZURE_OPENAI_API_KEY", canary)
	p := &Provider{Endpoints: []string{endpoint}, Deployments: []Deployment{{Model: "fast", Name: "my-deployment"}}}
	if set != nil {
		set(p)
	}
	return providertest.Ready(t, p)
}

func ask(stream bool) *gateway.Attempt {
	a := &gateway.Attempt{Operation: dialect.Chat, Model: "fast", Body: []byte(question), Stream: stream, RequestID: "req_1"}
	if stream {
		a.Body = []byte(strings.Replace(question, "{", `{"stream":true,`, 1))
	}
	return a
}

// failure fails as providertest.Failure does, and where the error tells the credential.
func failure(t testing.TB, p *Provider, a *gateway.Attempt) *dialect.Error {
	t.Helper()
	return providertest.Failure(t, p, a, canary)
}
