package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestSurfacesOfGooglesClients(t *testing.T) {
	for path, want := range map[string]*Surface{
		"/v1beta/models": ContentModels, "/v1beta/models/": ContentModels, "/v1beta/models/a/b": ContentModels, "/v1beta/models/a:b": ContentModels,
		"/v1beta/models/m:generateContent": ContentGenerate, "/v1beta/models/a/b:c:streamGenerateContent": ContentStream,
		"/v1beta/models/m:countTokens": ContentCount, "/v1beta/models/m:embedContent": ContentEmbed, "/v1beta/models/m:batchEmbedContents": ContentEmbed,
		"/v1/models/m:generateContent": ContentGenerate, "/v1/models/m:streamGenerateContent": ContentStream, "/v1/models/a:8b": ModelsList,
		"/v1beta": otherContent, "/v1beta/files": otherContent, "/v1betax": Other,
	} {
		if got := SurfaceOf(path); got != want {
			t.Errorf("%q is %+v", path, got)
		}
	}
	for _, tt := range []struct {
		method, target, header string
		want                   *Surface
	}{
		{"GET", "/v1/models", "", ModelsList},
		{"GET", "/v1/models", "X-Goog-Api-Key", ContentModels},
		{"GET", "/v1/models/m?key=k", "", ContentModels},
		{"GET", "/v1/models?monkey=k", "", ModelsList},
		{"GET", "/v1/files", "X-Goog-Api-Key", otherContent},
		{"POST", "/v1/chat/completions?key=k", "", ChatCompletions},
		{"POST", "/v1beta/models/m:predict", "", otherContent},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		if tt.header != "" {
			r.Header.Set(tt.header, "k")
		}
		if got := surfaceOf(r); got != tt.want {
			t.Errorf("%s %s with %q is %+v", tt.method, tt.target, tt.header, got)
		}
	}
}

func TestTheAddressSaysTheModelAndHowToStream(t *testing.T) {
	const body = `{"contents":[{"parts":[{"text":"hello there"}]}],"generationConfig":{"maxOutputTokens":9,"temperature":0}}`
	for target, want := range map[string]struct {
		model         string
		stream, array bool
	}{
		"/v1beta/models/m:generateContent":                      {"m", false, false},
		"/v1beta/models/openai%2Fgpt:generateContent":           {"openai/gpt", false, false},
		"/v1/models/openai/gpt:generateContent":                 {"openai/gpt", false, false},
		"/v1beta/models/llama:8b:streamGenerateContent?alt=sse": {"llama:8b", true, false},
		"/v1beta/models/m:streamGenerateContent":                {"m", true, true},
		"/v1beta/models/m:streamGenerateContent?alt=json":       {"m", true, true},
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, target, body)
		if err := call.Parse(r); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		if call.Model != want.model || call.Stream != want.stream || (call.Array != nil) != want.array {
			t.Errorf("%s asks for %q, streamed %t, as an array %t", target, call.Model, call.Stream, call.Array != nil)
		}
		if call.MaxTokens != 9 || !call.Repeatable || call.InputTokens == 0 {
			t.Errorf("%s: the call is %+v", target, call)
		}
	}
	for _, tt := range []struct {
		target, body string
		kind         dialect.Kind
		field        string
	}{
		{"/v1beta/models/:generateContent", body, dialect.InvalidRequest, "model"},
		{"/v1beta/models/sp_secret:generateContent", body, dialect.ModelNotFound, "model"},
		{"/v1beta/models/m:generateContent", `{}`, dialect.InvalidRequest, "contents"},
		{"/v1beta/models/m:countTokens", `{}`, dialect.InvalidRequest, "contents"},
		{"/v1beta/models/m:embedContent", body, dialect.InvalidRequest, "content"},
		{"/v1beta/models/m:generateContent", `{`, dialect.InvalidJSON, ""},
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, tt.target, tt.body)
		if err := call.Parse(r); err == nil || err.Kind != tt.kind || err.Field != tt.field {
			t.Errorf("%s with %s: %v", tt.target, tt.body, err)
		}
	}
	for target, body := range map[string]string{
		"/v1beta/models/m:embedContent":       `{"content":{"parts":[{"text":"a"}]}}`,
		"/v1beta/models/m:batchEmbedContents": `{"requests":[{"content":{"parts":[{"text":"a"}]}}]}`,
		"/v1beta/models/m:countTokens":        `{"generateContentRequest":{"contents":[{"parts":[{"text":"a"}]}]}}`,
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, target, body)
		if err := call.Parse(r); err != nil || call.InputTokens == 0 || call.Repeatable != (call.Surface == ContentEmbed) || call.Stream {
			t.Errorf("%s: %v, %+v", target, err, call)
		}
	}
}

const contentAnswer = `{"candidates":[{"content":{"parts":[{"text":"pong and more"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3},"modelVersion":"m"}`

func TestAStreamCanBeAnArray(t *testing.T) {
	for target, array := range map[string]bool{"/v1beta/models/x:streamGenerateContent": true, "/v1beta/models/x:streamGenerateContent?alt=sse": false} {
		call, w, r := enter(t, newApp(t), http.MethodPost, target, `{"contents":[]}`)
		if err := call.Parse(r); err != nil {
			t.Fatal(err)
		}
		if err := call.ServeAnswerStream(w, &Answer{Provider: "a", Model: "x", Body: []byte(contentAnswer)}); err != nil {
			t.Fatal(err)
		}
		body, kind := w.Body.String(), w.Header().Get("Content-Type")
		if !array {
			if kind != "text/event-stream" || body[:6] != "data: " {
				t.Errorf("%s is %s %s", target, kind, body)
			}
			continue
		}
		text := ""
		for _, element := range gjson.Get(body, "#.candidates.0.content.parts.0.text").Array() {
			text += element.Str
		}
		if kind != "application/json" || !json.Valid(w.Body.Bytes()) || text != "pong and more" {
			t.Errorf("%s is %s %s", target, kind, body)
		}
	}
}

func TestAStreamThatBreaksSaysSoInItsFraming(t *testing.T) {
	broken := &dialect.Error{Kind: dialect.UpstreamFailed, Message: "it broke"}
	for target, path := range map[string]string{"/v1beta/models/x:streamGenerateContent": "1.error.status", "/v1beta/models/x:streamGenerateContent?alt=sse": ""} {
		call, w, r := enter(t, newApp(t), http.MethodPost, target, `{"contents":[]}`)
		if err := call.Parse(r); err != nil {
			t.Fatal(err)
		}
		call.BeginStream(w)
		if err := call.WriteEvent(w, []byte("data: {}\n\n"), []byte("{}")); err != nil {
			t.Fatal(err)
		}
		call.BreakStream(w, broken)
		body := w.Body.String()
		if path != "" && gjson.Get(body, path).Str != "INTERNAL" || path == "" && gjson.Get(body[len("data: {}\n\ndata: "):], "error.code").Int() != 502 {
			t.Errorf("%s is %s", target, body)
		}
	}
}
