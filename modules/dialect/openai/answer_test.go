package openai

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestOnlyWholeAnswersAreComplete(t *testing.T) {
	tests := []struct{ name, answer, says string }{
		{"a whole one", `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`, ""},
		{"one that was cut by its length", `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"length"}],"error":null}`, ""},
		{"an error", `{"choices":[{"message":{},"finish_reason":"stop"}],"error":{"message":"m"}}`, "an error"},
		{"no choices", `{"id":"c"}`, "no choice"},
		{"empty choices", `{"choices":[]}`, "no choice"},
		{"choices that are no array", `{"choices":{}}`, "no choice"},
		{"no finish_reason", `{"choices":[{"message":{}}]}`, "finish_reason"},
		{"null", `{"choices":[{"message":{},"finish_reason":null}]}`, "finish_reason"},
		{"an empty finish_reason", `{"choices":[{"message":{},"finish_reason":""}]}`, "finish_reason"},
		{"the second one unfinished", `{"choices":[{"message":{},"finish_reason":"stop"},{"message":{}}]}`, "choice 1"},
		{"an error for a reason", `{"choices":[{"message":{},"finish_reason":"error"}]}`, "error"},
		{"no message", `{"choices":[{"finish_reason":"stop"}]}`, "message"},
		{"a choice that is no object", `{"choices":[1]}`, "finish_reason"},
		{"half an answer", `{"choices":[{"message":{},"finish_reason":"stop"}`, "JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { judge(t, Complete([]byte(tt.answer)), tt.says) })
	}
}

func TestOnlyWholeEmbeddingsAreComplete(t *testing.T) {
	tests := []struct{ name, answer, says string }{
		{"numbers", `{"data":[{"embedding":[0.1,0.2]},{"embedding":[1,2]}]}`, ""},
		{"base64", `{"data":[{"embedding":"AAAA"}]}`, ""},
		{"an error", `{"data":[{"embedding":[1]}],"error":{}}`, "an error"},
		{"no data", `{"object":"list"}`, "no embedding"},
		{"empty data", `{"data":[]}`, "no embedding"},
		{"an empty vector", `{"data":[{"embedding":[1]},{"embedding":[]}]}`, "item 1"},
		{"an empty text", `{"data":[{"embedding":""}]}`, "item 0"},
		{"no vector", `{"data":[{"index":0}]}`, "item 0"},
		{"half an answer", `{"data":[`, "JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { judge(t, CompleteEmbeddings([]byte(tt.answer)), tt.says) })
	}
}

func judge(t *testing.T, err error, says string) {
	t.Helper()
	if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Errorf("got %v, want an error that says %q", err, says)
	}
}

func TestModelsAreListed(t *testing.T) {
	got := string(AppendModels(nil, []dialect.Model{{ID: "gpt-5", Created: 1741569952, OwnedBy: "openai"}, {ID: "a\"b"}}))
	want := `{"object":"list","data":[{"id":"gpt-5","object":"model","created":1741569952,"owned_by":"openai"},{"id":"a\"b","object":"model","created":0,"owned_by":""}]}`
	if got != want {
		t.Errorf("AppendModels = %s, want %s", got, want)
	}
	if got, want := string(AppendModels(nil, nil)), `{"object":"list","data":[]}`; got != want {
		t.Errorf("AppendModels = %s, want %s", got, want)
	}
}
