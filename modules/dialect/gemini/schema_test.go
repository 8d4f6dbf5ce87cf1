package gemini

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestGooglesSchemasBecomeJSONSchemas(t *testing.T) {
	tests := []struct{ name, schema, want string }{
		{"types are in small letters", `{"type":"STRING"}`, `{"type":"string"}`},
		{"what may be null", `{"type":"INTEGER","nullable":true}`, `{"type":["integer","null"]}`},
		{"an enumeration that may be null", `{"nullable":true,"type":"STRING","enum":["a", "b"]}`, `{"type":["string","null"],"enum":["a","b",null]}`},
		{"an empty enumeration", `{"nullable":true,"enum":[ ]}`, `{"enum":[null]}`},
		{"bounds in quotes", `{"type":"ARRAY","minItems":"1","max_items":"9","items":{"type":"NUMBER","minimum":1.50}}`,
			`{"type":"array","minItems":1,"maxItems":9,"items":{"type":"number","minimum":1.50}}`},
		{"what is no number stays", `{"minLength":"many","maxLength":"1}"}`, `{"minLength":"many","maxLength":"1}"}`},
		{"properties have the client's own names", `{"type":"OBJECT","properties":{"max_items":{"type":"STRING"},"nullable":{"type":"BOOLEAN"}},"propertyOrdering":["nullable"],"required":["max_items"]}`,
			`{"type":"object","properties":{"max_items":{"type":"string"},"nullable":{"type":"boolean"}},"required":["max_items"]}`},
		{"alternatives", `{"any_of":[{"type":"STRING"},{"type":"OBJECT","properties":{}}],"example":1,"description":"d"}`,
			`{"anyOf":[{"type":"string"},{"type":"object","properties":{}}],"description":"d"}`},
		{"what is none", `"a"`, `"a"`},
		{"what is a JSON Schema already", `{"type":["string","null"],"items":true,"properties":[],"anyOf":{}}`, `{"type":["string","null"],"items":true,"properties":[],"anyOf":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(schemaOf([]byte(tt.schema))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func FuzzSchemasStayJSON(f *testing.F) {
	f.Add([]byte(`{"type":"OBJECT","nullable":true,"enum":["a"],"properties":{"a":{"type":"ARRAY","minItems":"1","items":{"any_of":[{"type":"STRING"}]}}}}`))
	f.Fuzz(func(t *testing.T, schema []byte) {
		if dialect.Check(schema) != nil {
			return
		}
		if got := schemaOf(schema); dialect.Check(got) != nil && !collides(schema) {
			t.Fatalf("%s becomes %s", schema, got)
		}
	})
}

// collides tells whether an object at any depth has one name in both spellings.
func collides(value []byte) bool {
	seen := map[string]bool{}
	for name, value := range dialect.Members(value) {
		if seen[string(camel(name))] || collides(value) {
			return true
		}
		seen[string(camel(name))] = true
	}
	for element := range dialect.Elements(value) {
		if collides(element) {
			return true
		}
	}
	return false
}
