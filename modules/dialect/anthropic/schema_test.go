package anthropic

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestSchemasThatAnthropicKeepsTo(t *testing.T) {
	for schema, want := range map[string]bool{
		`{"type":"string"}`: true,
		`{"type":"string","enum":["a"],"description":"x"}`:         true,
		`{"type":"string","format":"date"}`:                        true,
		`{"type":"string","format":"regex"}`:                       false,
		`{"type":"string","minLength":1}`:                          false,
		`{"type":"number","minimum":0}`:                            false,
		`{"type":"array","items":{"type":"integer"},"minItems":1}`: true,
		`{"type":"array","minItems":2}`:                            false,
		`{"type":"array","items":{"type":"object"}}`:               false,
		`{"type":"object","additionalProperties":false}`:           true,
		`{"type":["object","null"],"additionalProperties":true}`:   false,
		`{"type":"object","properties":{"a":{"type":"string"}}}`:   false,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string"}]}},"required":["a"],"additionalProperties":false}`: true,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string","pattern":"a"}]}},"additionalProperties":false}`:    false,
		`{"$ref":"#"}`: false,
		`true`:         false,
		``:             false,
	} {
		if got := enforceable([]byte(schema)); got != want {
			t.Errorf("%s: %t", schema, got)
		}
	}
}

func TestASchemaThatAnthropicDoesNotTakeGoesIntoThePrompt(t *testing.T) {
	const open = `{"type":"object"}`
	for _, tt := range []struct {
		name   string
		format dialect.Format
		policy dialect.Policy
		asked  bool // by the prompt
	}{
		{"open", dialect.Format{Schema: dialect.Raw(open)}, dialect.Policy{PromptSchemas: true}, true},
		{"open and not strict", dialect.Format{Schema: dialect.Raw(open), Strict: dialect.Off}, dialect.Policy{PromptSchemas: true}, true},
		{"open and strict, which only Anthropic can refuse", dialect.Format{Schema: dialect.Raw(open), Strict: dialect.On}, dialect.Policy{PromptSchemas: true}, false},
		{"closed", dialect.Format{Schema: dialect.Raw(`{"type":"object","additionalProperties":false}`)}, dialect.Policy{PromptSchemas: true}, false},
		{"open, by another policy", dialect.Format{Schema: dialect.Raw(open)}, dialect.Policy{}, false},
	} {
		tt.format.Kind = dialect.FormatSchema
		r := &dialect.Request{Model: "m", System: []dialect.Part{text("Be kind.")}, Turns: []dialect.Turn{user(text("hi"))}, Format: tt.format}
		system, output := encoded(t, r, tt.policy, "system"), encoded(t, r, tt.policy, "output_config")
		if !strings.Contains(system, "Be kind.") || strings.Contains(system, `{\"type\":\"object\"}`) != tt.asked || (output == "") != tt.asked {
			t.Errorf("%s: system %s, output_config %s", tt.name, system, output)
		}
	}
}
