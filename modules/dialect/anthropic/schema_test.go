package anthropic

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestSchemasThatAnthropicKeepsTo(t *testing.T) {
	const same = "the same"
	many := `{"type":"object","properties":{` + strings.Repeat(`"x":{"type":"string"},`, 24) + `"a":{"type":"string"}}`
	for schema, want := range map[string]string{ // "" where it cannot be
		`{"type":"string"}`: same,
		`{"type":"string","enum":["a"],"description":"x"}`:                                 same,
		`{"type":"string","format":"date"}`:                                                same,
		`{"type":"string","format":"regex"}`:                                               `{"type":"string","description":"{\"format\":\"regex\"}"}`,
		`{"type":"number","minimum":0,"maximum":1}`:                                        `{"type":"number","description":"{\"minimum\":0,\"maximum\":1}"}`,
		`{"type":"array","items":{"type":"integer"},"minItems":1}`:                         same,
		`{"type":"array","items":{"type":"integer"},"minItems":2}`:                         `{"type":"array","items":{"type":"integer"},"description":"{\"minItems\":2}"}`,
		`{"type":"array","items":{"type":"object"}}`:                                       "",
		`{"type":"object","additionalProperties":false}`:                                   same,
		`{"type":"object"}`:                                                                "", // closed it would be empty
		`{"type":["object","null"],"additionalProperties":true}`:                           "",
		`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{}}`: "",
		`{"type":"object","properties":{"a":{"type":"string"}}}`:                           `{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string"}]}},"required":["a"],"additionalProperties":false}`: same,
		`{"anyOf":[{"type":"null"},{"type":"string","maxLength":3}]}`:                                                                      `{"anyOf":[{"type":"null"},{"type":"string","description":"{\"maxLength\":3}"}]}`,
		`{"type":"object","properties":{"a":{"$ref":"#"}}}`:                                                                                "",
		`{"$ref":"#"}`:      "",
		`{"properties":[]}`: "",
		`{"anyOf":{}}`:      "",
		many + `}`:          "", // more members that may be left out than Anthropic takes
		`true`:              "",
		``:                  "",
	} {
		got, ok := enforceable([]byte(schema))
		if want == same {
			want = schema
		}
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%s: %s, %t; want %s", schema, got, ok, want)
		}
	}
}

// What fits the schema that Anthropic keeps a model to fits the client's, but for the bounds that only the description tells.
func TestWhatFitsAnEnforcedSchemaFitsTheClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t, 3)
		enforced, ok := enforceable(schema)
		if !ok {
			return
		}
		if !json.Valid(enforced) {
			t.Fatalf("%s becomes %s", schema, enforced)
		}
		again, ok := enforceable(enforced)
		if !ok || len(again) != len(enforced) {
			t.Fatalf("%s is not taken again: %s", enforced, again)
		}
		data, err := jsonschema.UnmarshalJSON(strings.NewReader(drawData(t, 3)))
		if err != nil {
			t.Fatal(err)
		}
		if compiled(t, enforced).Validate(data) == nil && compiled(t, schema).Validate(data) != nil {
			t.Fatalf("%v fits %s and not %s", data, enforced, schema)
		}
	})
}

func compiled(t *rapid.T, schema []byte) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s:///x", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("s:///x")
}

// drawSchema draws a schema without bounds.
func drawSchema(t *rapid.T, depth int) []byte {
	kinds := []string{"string", "null", "object", "open", "closed", "array", "any"}
	if depth == 0 {
		kinds = kinds[:2]
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "object", "open", "closed":
		s := `{"type":"object","properties":{"a":` + string(drawSchema(t, depth-1)) + `,"b":` + string(drawSchema(t, depth-1)) + `}`
		if rapid.Bool().Draw(t, "required") {
			s += `,"required":["a"]`
		}
		if kind != "object" {
			s += `,"additionalProperties":` + strconv.FormatBool(kind == "open")
		}
		return []byte(s + `}`)
	case "array":
		return []byte(`{"type":"array","items":` + string(drawSchema(t, depth-1)) + `}`)
	case "any":
		return []byte(`{"anyOf":[` + string(drawSchema(t, depth-1)) + `,` + string(drawSchema(t, depth-1)) + `]}`)
	default:
		return []byte(`{"type":"` + kind + `"}`)
	}
}

func drawData(t *rapid.T, depth int) string {
	kinds := []string{`"x"`, "null", "[]", "object", "array"}
	if depth == 0 {
		kinds = kinds[:3]
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "data"); kind {
	case "object":
		var members []string
		for _, name := range []string{"a", "b", "c"} {
			if rapid.Bool().Draw(t, name) {
				members = append(members, `"`+name+`":`+drawData(t, depth-1))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	case "array":
		return "[" + drawData(t, depth-1) + "]"
	default:
		return kind
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
		{"open, with members", dialect.Format{Schema: dialect.Raw(`{"type":"object","properties":{"a":{"type":"string"}}}`)}, dialect.Policy{PromptSchemas: true}, false},
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
