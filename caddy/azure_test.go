package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
)

// resource is an upstream that is an Azure OpenAI resource with the deployments chat and vectors, in the config as models of OpenAI's names.
func resource(t *testing.T) (u *upstream, provider string) {
	u = newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case r.Header.Get("Api-Key") != strings.TrimPrefix(upKey, "UP_KEY=") || r.URL.Query().Get("api-version") != "2024-10-21":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(body, "something violent"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":{"message":"The response was filtered.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`)) //nolint:errcheck
		case r.URL.Path == "/openai/deployments/vectors/embeddings":
			answerWhole(w, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"model":"ada","usage":{"prompt_tokens":4,"total_tokens":4}}`)
		case r.URL.Path != "/openai/deployments/chat/chat/completions":
			w.WriteHeader(http.StatusNotFound)
		case gjson.Get(body, "stream").Bool():
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte("data: {\"choices\":[],\"id\":\"\",\"object\":\"\",\"prompt_filter_results\":[]}\n\n" + chunk("Hel") + chunk("lo") + chunkStop + chunkUsage + chunkDone)) //nolint:errcheck
		default:
			answerWhole(w, answerText("Hello"))
		}
	})
	return u, "\t\tprovider cloud azure {\n\t\t\tendpoint " + u.URL + "\n\t\t\tapi_version 2024-10-21\n\t\t\tapi_key {env.UP_KEY}\n\t\t\tdeployment gpt-4o chat\n\t\t\tdeployment ada vectors\n\t\t}"
}

// Azure's official client, with another address and key alone, asks a resource of Azure through the gateway.
func TestAzuresClientAsksADeploymentBehindTheGateway(t *testing.T) {
	u, provider := resource(t)
	p := start(t, site(provider, "\tllm"), upKey)
	client := openai.NewClient(azure.WithUnsafeAllowHTTP(), azure.WithEndpoint(p.URL, "2025-01-01-preview"), azure.WithAPIKey(p.Key), option.WithMaxRetries(0))
	ask := func(model, text string) openai.ChatCompletionNewParams {
		return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
	}
	for _, model := range []string{"gpt-4o", "cloud/gpt-4o"} {
		answer, err := client.Chat.Completions.New(t.Context(), ask(model, "Hello"))
		if err != nil || answer.Choices[0].Message.Content != "Hello" || answer.Usage.TotalTokens != 10 {
			t.Fatalf("%s is answered with %+v, %v", model, answer, err)
		}
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), ask("gpt-4o", "Hello"))
	text := ""
	for stream.Next() {
		text += stream.Current().Choices[0].Delta.Content // each event has one
	}
	if stream.Err() != nil || text != "Hello" {
		t.Errorf("streamed is %q, %v", text, stream.Err())
	}
	vectors, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "ada", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a")}})
	if err != nil || len(vectors.Data) != 1 || vectors.Data[0].Embedding[1] != 0.25 {
		t.Errorf("embedded is %+v, %v", vectors, err)
	}

	refused := func(err error) *openai.Error {
		t.Helper()
		e, ok := err.(*openai.Error)
		if !ok {
			t.Fatalf("the error is %v", err)
		}
		return e
	}
	_, err = client.Chat.Completions.New(t.Context(), ask("gpt-4o", "something violent"))
	if e := refused(err); e.StatusCode != 400 || e.Code != "content_filter" || e.Param != "prompt" {
		t.Errorf("a filtered prompt is %+v", e)
	}
	_, err = client.Chat.Completions.New(t.Context(), ask("nobody's", "Hello"))
	if e := refused(err); e.StatusCode != 404 || e.Code != "model_not_found" {
		t.Errorf("an unknown deployment is %+v", e)
	}
	stranger := openai.NewClient(azure.WithUnsafeAllowHTTP(), azure.WithEndpoint(p.URL, "2024-10-21"), azure.WithAPIKey("sp_unknown"), option.WithMaxRetries(0))
	_, err = stranger.Chat.Completions.New(t.Context(), ask("gpt-4o", "Hello"))
	if e := refused(err); e.StatusCode != 401 {
		t.Errorf("an unknown key is %+v", e)
	}

	newer := openai.NewClient(option.WithBaseURL(p.URL+"/openai/v1/"), option.WithHeader("api-key", p.Key), option.WithMaxRetries(0))
	if answer, err := newer.Chat.Completions.New(t.Context(), ask("gpt-4o", "Hello")); err != nil || answer.Choices[0].Message.Content != "Hello" {
		t.Errorf("the newer form is answered with %+v, %v", answer, err)
	}
	if models, err := newer.Models.List(t.Context()); err != nil || len(models.Data) != 2 || models.Data[0].ID != "gpt-4o" {
		t.Errorf("the models are %+v, %v", models, err)
	}

	log, secret := p.out.String(), strings.TrimPrefix(upKey, "UP_KEY=")
	for _, request := range u.requests() {
		if strings.Contains(request.Body+strings.Join(request.Header.Values("Api-Key"), ""), p.Key) || request.Header.Get("Authorization") != "" {
			t.Errorf("the gateway's key went upstream: %+v", request)
		}
	}
	if strings.Contains(log, secret) || strings.Contains(log, p.Key+"\"") {
		t.Error("the log tells a credential")
	}
}
