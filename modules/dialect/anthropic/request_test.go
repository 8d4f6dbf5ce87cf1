package anthropic

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestPeekReadsWhatTheGatewayNeeds(t *testing.T) {
	tests := []struct {
		body string
		want Request
	}{
		{`{"model":"m","max_tokens":9,"messages":[]}`, Request{Model: "m", MaxTokens: 9}},
		{`{"model":"m","max_tokens":0,"messages":[],"stream":true,"temperature":1}`, Request{Model: "m", Stream: true, Temperature: 1, HasTemperature: true}},
		{`{"model":"m","max_tokens":1.5,"messages":[],"stream":null,"temperature":0}`, Request{Model: "m", MaxTokens: 2, HasTemperature: true, Repeatable: true}},
		{`{"model":"m","max_tokens":1e300,"messages":[],"stream":false,"temperature":null}`, Request{Model: "m", MaxTokens: maxCap}},
		{`{"model":"m","max_tokens":-5,"messages":[]}`, Request{Model: "m"}},
	}
	for _, tt := range tests {
		if got, err := Peek(dialect.Chat, []byte(tt.body)); err != nil || got != tt.want {
			t.Errorf("Peek(%s) = %+v, %v, want %+v", tt.body, got, err, tt.want)
		}
	}
}

func TestPeekNamesTheFieldThatItCannotRead(t *testing.T) {
	tests := []struct{ body, field, says string }{
		{`{"max_tokens":9,"messages":[]}`, "model", "missing"},
		{`{"model":"","max_tokens":9,"messages":[]}`, "model", "missing"},
		{`{"model":null,"max_tokens":9,"messages":[]}`, "model", "a string"},
		{`{"model":"m","max_tokens":9}`, "messages", "missing"},
		{`{"model":"m","max_tokens":9,"messages":"hi"}`, "messages", "an array"},
		{`{"model":"m","messages":[]}`, "max_tokens", "missing"},
		{`{"model":"m","max_tokens":"9","messages":[]}`, "max_tokens", "an integer"},
		{`{"model":"m","max_tokens":null,"messages":[]}`, "max_tokens", "an integer"},
		{`{"model":"m","max_tokens":9,"messages":[],"stream":"true"}`, "stream", "true or false"},
		{`{"model":"m","max_tokens":9,"messages":[],"temperature":"0"}`, "temperature", "a number"},
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
		{"text", `{"messages":[{"role":"user","content":"` + text + `"}]}`, 1000, 1010},
		{"a system prompt", `{"system":"` + text + `"}`, 1000, 1000},
		{"tools", `{"tools":[{"description":"` + text + `"}]}`, 1000, 1010},
		{"not what is no prompt", `{"model":"m","metadata":{"user_id":"` + text + `"}}`, 0, 0},
		{"a picture", `{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"` + strings.Repeat("iVBORw0KGgo", 10_000) + `"}}]}]}`, 1000, 1050},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := EstimateInput([]byte(tt.body)); got < tt.least || got > tt.most {
				t.Errorf("EstimateInput = %d, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

func FuzzPeekSurvivesAnything(f *testing.F) {
	f.Add([]byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true,"temperature":0.5}`))
	f.Add([]byte(`{"model":"m","max_tokens":NaN`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := Peek(dialect.Chat, body); err == nil && dialect.Check(body) == nil && (r.Model == "" || r.MaxTokens < 0) {
			t.Fatalf("Peek(%q) = %+v", body, r)
		}
		if n := EstimateInput(body); n < 0 || n > int64(len(body))+4 {
			t.Fatalf("EstimateInput(%q) = %d", body, n)
		}
	})
}

func BenchmarkPeekAndEstimate(b *testing.B) {
	body := []byte(`{"model":"claude-opus-5-5","max_tokens":100,"messages":[{"role":"user","content":"` + strings.Repeat("word ", 180) + `"}],"temperature":0,"stream":true}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(dialect.Chat, body); err != nil || EstimateInput(body) == 0 {
			b.Fatal(err)
		}
	}
}
