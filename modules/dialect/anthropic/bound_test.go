package anthropic

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestABoundThatAnthropicRefusesIsTold(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"integer","minimum":0,"maximum":9}`:                   `{"type":"integer","description":"{\"minimum\":0,\"maximum\":9}"}`,
		`{"description":"An age.","type":"integer","minimum":0}`:       `{"type":"integer","description":"An age.\n\n{\"minimum\":0}"}`,
		`{"type":"string","format":"date"}`:                            `{"type":"string","format":"date"}`,
		`{"type":"string","format":"regex"}`:                           `{"type":"string","description":"{\"format\":\"regex\"}"}`,
		`{"type":"array","minItems":1,"items":{"maxLength":2}}`:        `{"type":"array","minItems":1,"items":{"description":"{\"maxLength\":2}"}}`,
		`{"anyOf":[{"pattern":"a\"b"},{"type":"null"}]}`:               `{"anyOf":[{"description":"{\"pattern\":\"a\\\"b\"}"},{"type":"null"}]}`,
		`{"$defs":{"a":{"multipleOf":2}},"$ref":"#/$defs/a"}`:          `{"$defs":{"a":{"description":"{\"multipleOf\":2}"}},"$ref":"#/$defs/a"}`,
		`{"additionalProperties":false,"properties":{"minimum":true}}`: `{"additionalProperties":false,"properties":{"minimum":true}}`,
		`true`: `true`,
	} {
		if got := string(unbounded([]byte(schema))); got != want {
			t.Errorf("%s:\n got %s\nwant %s", schema, got, want)
		}
	}
}

func TestAStrictSchemaIsSentWithoutBoundsAndAnotherAsItIs(t *testing.T) {
	const bounded = `{"type":"object","properties":{"age":{"type":"integer","minimum":0}},"additionalProperties":false}`
	r := &dialect.Request{Model: "m", Turns: []dialect.Turn{user(text("hi"))}, Format: dialect.Format{Kind: dialect.FormatSchema, Schema: dialect.Raw(bounded)}}
	r.Format.Strict = dialect.On
	const told = `{"format":{"type":"json_schema","schema":{"type":"object","properties":{"age":{"type":"integer","description":"{\"minimum\":0}"}},"additionalProperties":false}}}`
	if got := encoded(t, r, dialect.Policy{PromptSchemas: true}, "output_config"); got != told {
		t.Errorf("strict: %s", got)
	}
	r.Format.Strict = dialect.Off
	if got := encoded(t, r, dialect.Policy{}, "output_config"); got != `{"format":{"type":"json_schema","schema":`+bounded+`}}` {
		t.Errorf("not strict: %s", got)
	}
}
