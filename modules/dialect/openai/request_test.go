package openai

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestPeekReadsARequest(t *testing.T) {
	const chat, embeddings = dialect.Chat, dialect.Embeddings
	tests := []struct {
		name      string
		operation dialect.Operation
		body      string
		want      Request
	}{
		{"the least", chat, `{"model":"m","messages":[]}`, Request{Model: "m", Choices: 1}},
		{"an escaped name and value", chat, `{"mod\u0065l":"m\/1","messages":[],"str\u0065am":true}`, Request{Model: "m/1", Stream: true, Choices: 1}},
		{"a stream", chat, `{"stream":true,"stream_options":{"include_usage":true,"x":1},"model":"m","messages":[]}`, Request{Model: "m", Stream: true, IncludeUsage: true, Choices: 1}},
		{"a stream without usage", chat, `{"stream":true,"stream_options":{"include_usage":false},"model":"m","messages":[]}`, Request{Model: "m", Stream: true, Choices: 1}},
		{"nulls", chat, `{"model":"m","messages":[],"stream":null,"stream_options":null,"n":null,"max_tokens":null,"temperature":null,"seed":null,"store":null}`, Request{Model: "m", Choices: 1}},
		{"the largest cap, for each choice", chat, `{"model":"m","messages":[],"n":3,"max_tokens":100,"max_completion_tokens":200,"max_output_tokens":50}`, Request{Model: "m", Choices: 3, MaxTokens: 600}},
		{"caps in other number forms", chat, `{"model":"m","messages":[],"n":2.0,"max_tokens":1.5e2}`, Request{Model: "m", Choices: 2, MaxTokens: 300}},
		{"a cap below zero", chat, `{"model":"m","messages":[],"n":-1,"max_tokens":-100}`, Request{Model: "m", Choices: 1}},
		{"caps that would overflow", chat, `{"model":"m","messages":[],"n":1e300,"max_tokens":1e999}`, Request{Model: "m", Choices: maxChoices, MaxTokens: maxChoices * maxCap}},
		{"temperature 0", chat, `{"model":"m","messages":[],"temperature":0.0}`, Request{Model: "m", Choices: 1, HasTemperature: true, Repeatable: true}},
		{"temperature 0 and a seed", chat, `{"model":"m","messages":[],"temperature":0,"seed":7}`, Request{Model: "m", Choices: 1, HasTemperature: true, HasSeed: true, Repeatable: true}},
		{"temperature 0 and two choices", chat, `{"model":"m","messages":[],"temperature":0,"n":2}`, Request{Model: "m", Choices: 2, HasTemperature: true}},
		{"temperature 0 and stored", chat, `{"model":"m","messages":[],"temperature":0,"store":true}`, Request{Model: "m", Choices: 1, HasTemperature: true, Store: true}},
		{"another temperature", chat, `{"model":"m","messages":[],"temperature":0.7}`, Request{Model: "m", Choices: 1, Temperature: 0.7, HasTemperature: true}},
		{"embeddings", embeddings, `{"model":"m","input":"text"}`, Request{Model: "m", Choices: 1, Repeatable: true}},
		{"embeddings of several", embeddings, `{"model":"m","input":["a","b"]}`, Request{Model: "m", Choices: 1, Repeatable: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Peek(tt.operation, []byte(tt.body)); err != nil || got != tt.want {
				t.Errorf("Peek = %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func TestPeekNamesTheMemberAtFault(t *testing.T) {
	tests := []struct {
		operation         dialect.Operation
		body, field, says string
	}{
		{dialect.Chat, `{"messages":[]}`, "model", "missing"},
		{dialect.Chat, `{"model":"","messages":[]}`, "model", "missing"},
		{dialect.Chat, `{"model":7,"messages":[]}`, "model", "a string"},
		{dialect.Chat, `{"model":null,"messages":[]}`, "model", "a string"},
		{dialect.Chat, `{"model":"m"}`, "messages", "missing"},
		{dialect.Chat, `{"model":"m","input":"text"}`, "messages", "missing"},
		{dialect.Chat, `{"model":"m","messages":"hi"}`, "messages", "an array"},
		{dialect.Chat, `{"model":"m","messages":null}`, "messages", "an array"},
		{dialect.Chat, `{"model":"m","messages":[],"stream":"true"}`, "stream", "true or false"},
		{dialect.Chat, `{"model":"m","messages":[],"stream":1}`, "stream", "true or false"},
		{dialect.Chat, `{"model":"m","messages":[],"max_tokens":"9"}`, "max_tokens", "an integer"},
		{dialect.Chat, `{"model":"m","messages":[],"max_completion_tokens":[]}`, "max_completion_tokens", "an integer"},
		{dialect.Chat, `{"model":"m","messages":[],"n":"2"}`, "n", "an integer"},
		{dialect.Chat, `{"model":"m","messages":[],"temperature":"0"}`, "temperature", "a number"},
		{dialect.Embeddings, `{"model":"m"}`, "input", "missing"},
		{dialect.Embeddings, `{"model":"m","input":null}`, "input", "missing"},
		{dialect.Embeddings, `{"model":"m","messages":[]}`, "input", "missing"},
	}
	for _, tt := range tests {
		_, err := Peek(tt.operation, []byte(tt.body))
		if err == nil || err.Kind != dialect.InvalidRequest || err.Field != tt.field || !strings.Contains(err.Message, tt.says) {
			t.Errorf("Peek(%s) = %v, want an error about %s that says %q", tt.body, err, tt.field, tt.says)
		}
	}
}

func FuzzPeekSurvivesAnything(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"hi"}],"n":2,"max_tokens":5,"stream_options":{"include_usage":true}}`))
	f.Add([]byte(`{"model":"m","input":[[1,2],[3]],"temperature":NaN`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, operation := range []dialect.Operation{dialect.Chat, dialect.Embeddings} {
			if r, err := Peek(operation, body); err == nil && dialect.Check(body) == nil && (r.Model == "" || r.MaxTokens < 0 || r.Choices < 1) {
				t.Fatalf("Peek(%q) = %+v", body, r)
			}
		}
		if n := EstimateInput(body); n < 0 || n > int64(len(body)) {
			t.Fatalf("EstimateInput(%q) = %d", body, n)
		}
	})
}

func TestEstimateInputCountsWhatModelsRead(t *testing.T) {
	picture := `"data:image/png;base64,` + strings.Repeat("iVBORw0KGgo", 10_000) + `"`
	recording := `"` + strings.Repeat(`UklGRi\/AAA`, 10_000) + `"`
	tests := []struct {
		name, body  string
		least, most int64
	}{
		{"nothing", `{}`, 0, 0},
		{"text", `{"messages":[{"role":"user","content":"` + strings.Repeat("four ", 800) + `"}]}`, 1000, 1010},
		{"not what is no prompt", `{"model":"m","metadata":{"a":"` + strings.Repeat("four ", 800) + `"}}`, 0, 0},
		{"tools", `{"tools":[{"description":"` + strings.Repeat("four ", 800) + `"}]}`, 1000, 1010},
		{"a picture", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":` + picture + `}}]}]}`, 1000, 1050},
		{"a recording", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":` + recording + `}}]}]}`, 1000, 1050},
		{"text of many characters", `{"messages":[{"content":"` + strings.Repeat("你好", 1000) + `"}]}`, 1500, 1510},
		{"token ids", `{"input":[1,22,333]}`, 3, 3},
		{"several lists of token ids", `{"input":[[1,22],[333],[]]}`, 3, 3},
		{"texts to embed", `{"input":["12345678","1234"]}`, 3, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := EstimateInput([]byte(tt.body)); got < tt.least || got > tt.most {
				t.Errorf("EstimateInput = %d, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

func BenchmarkPeekAndEstimate(b *testing.B) {
	body := []byte(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"` + strings.Repeat("word ", 180) + `"}],"temperature":0,"max_tokens":100,"stream":true}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(dialect.Chat, body); err != nil || EstimateInput(body) == 0 {
			b.Fatal(err)
		}
	}
}
