package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"google.golang.org/genai"
)

// googles makes Google's own client of a gateway, with a gateway's key.
func googles(t *testing.T, p *process, key, version string) *genai.Client {
	t.Helper()
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPClient: client, HTTPOptions: genai.HTTPOptions{BaseURL: p.URL, APIVersion: version},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const googleAnswer = `{"candidates":[{"content":{"parts":[{"text":"pong"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":10},"modelVersion":"m-001","responseId":"r"}`

// newGoogle stands in for Google's API.
func newGoogle(t *testing.T) *upstream {
	return newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.Contains(body, "overload"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`) //nolint:errcheck // the gateway may be gone
		case strings.HasSuffix(r.URL.Path, ":streamGenerateContent"):
			send := begin(w)
			send("data: " + strings.Replace(strings.Replace(googleAnswer, `"pong"`, `"po"`, 1), `"finishReason":"STOP",`, "", 1) + "\r\n\r\n")
			send("data: " + strings.Replace(googleAnswer, `"pong"`, `"ng"`, 1) + "\r\n\r\n")
		default:
			answerWhole(w, googleAnswer)
		}
	})
}

func startGemini(t *testing.T) (p *process, google *upstream) {
	google = newGoogle(t)
	return start(t, site("\t\tprovider demo\n\t\tprovider google gemini {\n\t\t\tbase_url "+google.URL+"\n\t\t\tapi_key {env.UP_KEY}\n\t\t\tmodels m\n\t\t}\n"+
		"\t\tmodel pool {\n\t\t\ttarget google/m\n\t\t\tfallback demo/demo\n\t\t}\n", "\tllm"), upKey), google
}

func TestGooglesClientTalksToEveryProvider(t *testing.T) {
	p, google := startGemini(t)
	hello, config := genai.Text("Hello there"), &genai.GenerateContentConfig{Temperature: genai.Ptr[float32](0)}
	for _, version := range []string{"", "v1"} {
		c := googles(t, p, p.Key, version)
		for _, model := range []string{"demo", "google/m", "pool", "models/demo"} {
			whole, err := c.Models.GenerateContent(t.Context(), model, hello, config)
			if err != nil {
				t.Fatalf("%s at %q: %v", model, version, err)
			}
			if whole.Text() == "" || whole.UsageMetadata.TotalTokenCount == 0 || whole.Candidates[0].FinishReason != genai.FinishReasonStop {
				t.Errorf("%s: %+v", model, whole)
			}
			text, last := "", (*genai.GenerateContentResponse)(nil)
			for event, err := range c.Models.GenerateContentStream(t.Context(), model, hello, config) {
				if err != nil {
					t.Fatalf("%s at %q, in events: %v", model, version, err)
				}
				text += event.Text()
				last = event
			}
			if text != whole.Text() || last.UsageMetadata.TotalTokenCount != whole.UsageMetadata.TotalTokenCount || last.Candidates[0].FinishReason != genai.FinishReasonStop {
				t.Errorf("%s says %q, and in events %q, %+v", model, whole.Text(), text, last)
			}
		}
		list, err := c.Models.List(t.Context(), nil)
		if err != nil || len(list.Items) == 0 || !strings.HasPrefix(list.Items[0].Name, "models/") {
			t.Errorf("the models are %+v, %v", list, err)
		}
		if one, err := c.Models.Get(t.Context(), "demo", nil); err != nil || one.Name != "models/demo" {
			t.Errorf("one model is %+v, %v", one, err)
		}
	}
	for _, r := range google.requests() {
		if !strings.HasPrefix(r.Path, "/v1beta/models/m:") || r.Header.Get("X-Goog-Api-Key") != strings.TrimPrefix(upKey, "UP_KEY=") {
			t.Errorf("the provider got %+v", r)
		}
	}
}

func TestGooglesClientCallsToolsEmbedsAndCounts(t *testing.T) {
	p, _ := startGemini(t)
	c := googles(t, p, p.Key, "")
	called, err := c.Models.GenerateContent(t.Context(), "demo", genai.Text("What is the weather in Bern?"), &genai.GenerateContentConfig{
		Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "get_weather", Description: "tells the weather",
			Parameters: &genai.Schema{Type: genai.TypeObject, Properties: map[string]*genai.Schema{"city": {Type: genai.TypeString}}, Required: []string{"city"}}}}}},
		ToolConfig: &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{Mode: genai.FunctionCallingConfigModeAny}},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := called.FunctionCalls()
	if len(calls) != 1 || calls[0].Name != "get_weather" || calls[0].Args["city"] == nil {
		t.Fatalf("the answer is %+v", called.Candidates[0].Content)
	}
	answered, err := c.Models.GenerateContent(t.Context(), "demo", []*genai.Content{
		genai.NewContentFromText("What is the weather in Bern?", genai.RoleUser), called.Candidates[0].Content,
		genai.NewContentFromFunctionResponse("get_weather", map[string]any{"output": "rain"}, genai.RoleUser),
	}, nil)
	if err != nil || answered.Text() == "" {
		t.Errorf("the tool's result is answered with %+v, %v", answered, err)
	}

	typed, err := c.Models.GenerateContent(t.Context(), "demo", genai.Text("Ada, 36"), &genai.GenerateContentConfig{
		ResponseMIMEType: "application/json", ResponseJsonSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`),
	})
	if err != nil || !gjson.Get(typed.Text(), "name").Exists() {
		t.Errorf("by a schema, the answer is %+v, %v", typed, err)
	}

	vectors, err := c.Models.EmbedContent(t.Context(), "demo-embedding", append(genai.Text("one"), genai.Text("two")...), &genai.EmbedContentConfig{OutputDimensionality: genai.Ptr[int32](8)})
	if err != nil || len(vectors.Embeddings) != 2 || len(vectors.Embeddings[1].Values) != 8 {
		t.Errorf("the vectors are %+v, %v", vectors, err)
	}
	count, err := c.Models.CountTokens(t.Context(), "demo", genai.Text("Hello there"), nil)
	if err != nil || count.TotalTokens == 0 {
		t.Errorf("the count is %+v, %v", count, err)
	}
}

func TestGooglesClientSeesErrorsAsItsOwn(t *testing.T) {
	p, _ := startGemini(t)
	spent := p.newKey(map[string]any{"limits": []string{"1/1h"}})
	barred := p.newKey(map[string]any{"allowed_models": []string{"other"}})
	p.do("GET", "/v1beta/models", spent, "")
	for _, tt := range []struct {
		key, model, prompt string
		code               int
		status             string
	}{
		{"sp_unknown", "demo", "x", 401, "UNAUTHENTICATED"},
		{barred, "demo", "x", 403, "PERMISSION_DENIED"},
		{p.Key, "nope", "x", 404, "NOT_FOUND"},
		{spent, "demo", "x", 429, "RESOURCE_EXHAUSTED"},
		{p.Key, "google/m", "overload", 503, "UNAVAILABLE"},
	} {
		c := googles(t, p, tt.key, "")
		_, whole := c.Models.GenerateContent(t.Context(), tt.model, genai.Text(tt.prompt), nil)
		var streamed error
		for _, streamed = range c.Models.GenerateContentStream(t.Context(), tt.model, genai.Text(tt.prompt), nil) {
		}
		for _, err := range []error{whole, streamed} {
			var e genai.APIError
			if !errors.As(err, &e) || e.Code != tt.code || e.Status != tt.status || e.Message == "" {
				t.Errorf("%s: %#v", tt.status, err)
			}
			retry := false
			for _, detail := range e.Details {
				retry = retry || detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
			}
			if retry != (tt.code == 429) {
				t.Errorf("%s: the details are %v", tt.status, e.Details)
			}
		}
	}
	if _, err := googles(t, p, p.Key, "").Models.GenerateContent(t.Context(), "pool", genai.Text("overload"), nil); err != nil {
		t.Errorf("the other target is not asked: %v", err)
	}
}

// One entry of the cache is given whole, as events and as an array.
func TestACachedAnswerOfGoogleIsGivenInEachForm(t *testing.T) {
	p, google := startGemini(t)
	const path = "/v1beta/models/google/m:"
	body := `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],"generationConfig":{"temperature":0}}`
	text := func(r response) (text string) {
		said := gjson.Parse(r.Body)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
			elements := []string{}
			for event := range strings.SplitSeq(strings.TrimSpace(strings.ReplaceAll(r.Body, "\r", "")), "\n\n") {
				elements = append(elements, strings.TrimPrefix(event, "data: "))
			}
			said = gjson.Parse("[" + strings.Join(elements, ",") + "]")
		}
		if !gjson.Valid(said.Raw) {
			t.Errorf("the answer is %s", r.Body)
		}
		for _, response := range append(said.Array(), gjson.Result{}) {
			text += response.Get("candidates.0.content.parts.0.text").Str
		}
		return text
	}
	for i, method := range []string{"streamGenerateContent?alt=sse", "streamGenerateContent?alt=sse", "streamGenerateContent", "generateContent", "streamGenerateContent?alt=json"} {
		got := p.do("POST", path+method, "", body, "X-Goog-Api-Key", p.Key)
		if want := map[bool]string{true: "MISS", false: "HIT"}[i == 0]; got.Status != 200 || got.Header.Get("X-Cache") != want || text(got) != "pong" {
			t.Errorf("%s: %d %s %s", method, got.Status, got.Header.Get("X-Cache"), got.Body)
		}
	}
	if n := len(google.requests()); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	// A stream that is not cached comes as an array too, from a provider that was asked for events.
	warm := strings.Replace(body, `"temperature":0`, `"temperature":1`, 1)
	if got := p.do("POST", path+"streamGenerateContent", p.Key, warm); got.Header.Get("Content-Type") != "application/json" || text(got) != "pong" || got.Body[0] != '[' {
		t.Errorf("an array is %v %s", got.Header, got.Body)
	}
	for name := range map[string]bool{"X-RateLimit-Limit": true, "X-Request-Id": true} {
		if got := p.do("GET", "/v1beta/models?key="+p.Key, "", ""); got.Status != 200 || got.Header.Get(name) == "" {
			t.Errorf("the models' answer is %d %v", got.Status, got.Header)
		}
	}
}
