package gemini

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const contents = `"contents":[{"parts":[{"text":"hi"}]}]`

func TestPeekReadsWhatTheGatewayNeeds(t *testing.T) {
	tests := []struct {
		body string
		want Request
	}{
		{`{` + contents + `}`, Request{Choices: 1}},
		{`{"contents":{"parts":{"text":"hi"}}}`, Request{Choices: 1}},
		{`{` + contents + `,"generationConfig":{"maxOutputTokens":9,"candidateCount":3,"temperature":0}}`,
			Request{MaxTokens: 27, Choices: 3, HasTemperature: true}},
		{`{` + contents + `,"generation_config":{"max_output_tokens":1.5,"temperature":0,"seed":5}}`,
			Request{MaxTokens: 2, Choices: 1, HasTemperature: true, HasSeed: true, Repeatable: true}},
		{`{` + contents + `,"generationConfig":{"maxOutputTokens":1e300,"candidateCount":-1,"temperature":null}}`, Request{MaxTokens: maxCap, Choices: 1}},
		{`{` + contents + `,"generationConfig":{"temperature":0},"store":true}`, Request{Choices: 1, HasTemperature: true, Store: true}},
		{`{` + contents + `,"generationConfig":{"temperature":0.5}}`, Request{Choices: 1, Temperature: 0.5, HasTemperature: true}},
	}
	for _, tt := range tests {
		if got, err := Peek(dialect.Chat, []byte(tt.body)); err != nil || got != tt.want {
			t.Errorf("Peek(%s) = %+v, %v, want %+v", tt.body, got, err, tt.want)
		}
	}
}

func TestPeekNamesTheFieldThatItCannotRead(t *testing.T) {
	tests := []struct{ body, field, says string }{
		{`{}`, "contents", "missing"},
		{`{"contents":null}`, "contents", "missing"},
		{`{"contents":"hi"}`, "contents", "an array"},
		{`{` + contents + `,"generationConfig":{"maxOutputTokens":"9"}}`, "generationConfig.maxOutputTokens", "an integer"},
		{`{` + contents + `,"generationConfig":{"candidateCount":[]}}`, "generationConfig.candidateCount", "an integer"},
		{`{` + contents + `,"generationConfig":{"temperature":"0"}}`, "generationConfig.temperature", "a number"},
	}
	for _, tt := range tests {
		_, err := Peek(dialect.Chat, []byte(tt.body))
		if err == nil || err.Kind != dialect.InvalidRequest || err.Field != tt.field || !strings.Contains(err.Message, tt.says) {
			t.Errorf("Peek(%s) = %v, want an error about %s that says %q", tt.body, err, tt.field, tt.says)
		}
	}
}

func TestEstimateInputCountsWhatModelsRead(t *testing.T) {
	text := strings.Repeat("four ", 800)
	tests := []struct {
		name, body  string
		least, most int64
	}{
		{"nothing", `{}`, 0, 0},
		{"text", `{"contents":[{"role":"user","parts":[{"text":"` + text + `"}]}]}`, 1000, 1010},
		{"a system instruction", `{"system_instruction":{"parts":[{"text":"` + text + `"}]}}`, 1000, 1010},
		{"tools", `{"tools":[{"functionDeclarations":[{"description":"` + text + `"}]}]}`, 1000, 1020},
		{"not what is no prompt", `{"model":"m","labels":{"a":"` + text + `"}}`, 0, 0},
		{"a picture", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"` + strings.Repeat("iVBORw0KGgo", 10_000) + `"}}]}]}`, 1000, 1050},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := EstimateInput([]byte(tt.body)); got < tt.least || got > tt.most {
				t.Errorf("EstimateInput = %d, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

func TestNamesAreReadInBothSpellings(t *testing.T) {
	for name, want := range map[string]string{"text": "text", "inline_data": "inlineData", "function_calling_config": "functionCallingConfig",
		"_a": "_a", "a_": "a", "a__b": "aB", "a_1": "a1", "": ""} {
		if got := string(camel([]byte(name))); got != want {
			t.Errorf("camel(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzPeekSurvivesAnything(f *testing.F) {
	f.Add([]byte(`{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9,"temperature":0.5}}`))
	f.Add([]byte(`{"contents":[],"generation_config":{"max_output_tokens":NaN`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []dialect.Operation{dialect.Chat, dialect.CountTokens, dialect.Embeddings} {
			if r, err := Peek(op, body); err == nil && dialect.Check(body) == nil && (r.MaxTokens < 0 || r.Choices < 1) {
				t.Fatalf("Peek(%s, %q) = %+v", op, body, r)
			}
		}
		if n := EstimateInput(body); n < 0 || n > int64(len(body))+4 {
			t.Fatalf("EstimateInput(%q) = %d", body, n)
		}
	})
}

func BenchmarkPeekAndEstimate(b *testing.B) {
	body := []byte(`{"contents":[{"role":"user","parts":[{"text":"` + strings.Repeat("word ", 180) + `"}]}],"generationConfig":{"temperature":0,"maxOutputTokens":100}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(dialect.Chat, body); err != nil || EstimateInput(body) == 0 {
			b.Fatal(err)
		}
	}
}
