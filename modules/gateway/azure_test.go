package gateway

import (
	"net/http"
	"testing"
)

func TestSurfacesOfAzuresClients(t *testing.T) {
	for path, want := range map[string]*Surface{
		"/openai/v1/chat/completions": ChatCompletions, "/openai/v1/chat/completions/": ChatCompletions, "/openai/v1/embeddings": EmbeddingsCreate,
		"/openai/v1/responses": ResponsesCreate, "/openai/v1/models": ModelsList, "/openai/v1/models/m": ModelsList,
		"/openai/deployments/d/chat/completions": ChatCompletions, "/openai/deployments/openai/gpt-5/chat/completions/": ChatCompletions,
		"/openai/deployments/d/embeddings": EmbeddingsCreate, "/openai/deployments/embeddings/embeddings": EmbeddingsCreate,
		"/openai/deployments//chat/completions": Other, "/openai/deployments/d": Other, "/openai/deployments": Other, "/openai/models": Other,
		// Only OpenAI's own paths are below, and none of the gateway's.
		"/openai/v1/health": Other, "/openai/v1/api-keys": Other, "/openai/v1/analyze": Other, "/openai/v1/messages": Other, "/openai/v1/messages/count_tokens": Other,
		"/openai/v1/": Other, "/openai/v1": Other, "/openai/": Other, "/openaix": Other,
	} {
		if got := SurfaceOf(path); got != want {
			t.Errorf("%q is %+v", path, got)
		}
	}
}

func TestTheDeploymentOfThePathIsTheModel(t *testing.T) {
	for _, tt := range []struct{ target, body, model, want string }{
		{"/openai/deployments/d/chat/completions?api-version=2024-10-21", `{"messages":[], "x":1.0 }`, "d", `{"messages":[], "x":1.0,"model":"d" }`},
		{"/openai/deployments/d/chat/completions", `{"model":"other","messages":[]}`, "d", `{"model":"d","messages":[]}`},
		{"/openai/deployments/d/chat/completions", `{"model":"d","messages":[]}`, "d", `{"model":"d","messages":[]}`},
		{"/openai/deployments/openai%2Fgpt-5/embeddings/", `{"input":"a"}`, "openai/gpt-5", `{"input":"a","model":"openai/gpt-5"}`},
		{"/openai/v1/chat/completions", `{"model":"m","messages":[]}`, "m", `{"model":"m","messages":[]}`},
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, tt.target, tt.body)
		if err := call.Parse(r); err != nil {
			t.Errorf("%s: %v", tt.target, err)
		}
		if call.Model != tt.model || string(call.Body()) != tt.want {
			t.Errorf("%s with %s asks %q with %s", tt.target, tt.body, call.Model, call.Body())
		}
	}
	call, _, r := enter(t, newApp(t), http.MethodPost, "/openai/deployments/sp_0/chat/completions", `{"messages":[]}`)
	if err := call.Parse(r); err != errSecretModel {
		t.Errorf("a credential for a model is %v", err)
	}
	call, _, r = enter(t, newApp(t), http.MethodPost, "/openai/deployments/d/chat/completions", `{"messages":`)
	if err := call.Parse(r); err == nil {
		t.Error("half a body is taken")
	}
}
