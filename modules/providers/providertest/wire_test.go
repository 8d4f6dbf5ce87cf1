package providertest

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestWiresReadTextAndUsage(t *testing.T) {
	for _, tt := range []struct {
		dialect       dialect.Name
		answer, event string
	}{
		{
			dialect.OpenAI,
			`{"choices":[{"message":{"content":"ab"}}],"usage":{"prompt_tokens":5,"completion_tokens":7}}`,
			`{"choices":[{"delta":{"content":"ab"}}]}`,
		},
		{
			dialect.Anthropic,
			`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"usage":{"input_tokens":2,"cache_read_input_tokens":3,"output_tokens":7}}`,
			`{"type":"content_block_delta","delta":{"type":"text_delta","text":"ab"}}`,
		},
		{
			dialect.Gemini,
			`{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":4,"thoughtsTokenCount":3}}`,
			`{"candidates":[{"content":{"parts":[{"text":"ab"}]}}]}`,
		},
	} {
		w := wires[tt.dialect]
		if got := w.text(gjson.Parse(tt.answer)); got != "ab" {
			t.Errorf("%s: text is %q, want ab", tt.dialect, got)
		}
		if got := w.delta(gjson.Parse(tt.event)); got != "ab" {
			t.Errorf("%s: delta is %q, want ab", tt.dialect, got)
		}
		if input, output, ok := w.usage(gjson.Parse(tt.answer)); input != 5 || output != 7 || !ok {
			t.Errorf("%s: usage is %d, %d, %t, want 5, 7, true", tt.dialect, input, output, ok)
		}
		if _, _, ok := w.usage(gjson.Parse(tt.event)); ok {
			t.Errorf("%s: found usage where there is none", tt.dialect)
		}
		if !gjson.Valid(w.body("m", true, true)) {
			t.Errorf("%s: the request is no JSON", tt.dialect)
		}
	}
}

func TestEventDataReadsTheWireForm(t *testing.T) {
	for _, tt := range []struct{ event, data string }{
		{"data: {}\n\n", "{}"},
		{"event: ping\ndata:{}\n\n", "{}"},
		{"data: a\ndata: b\n\n", "a\nb"},
		{"data: {}\n", ""},
		{"data: {}\n\ndata: {}\n\n", ""},
		{"event: ping\n\n", ""},
	} {
		data, err := eventData([]byte(tt.event))
		if string(data) != tt.data || (err == nil) != (tt.data != "") {
			t.Errorf("%q holds %q, %v, want %q", tt.event, data, err, tt.data)
		}
	}
}
