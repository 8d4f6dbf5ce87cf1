package analyze

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestASchemaThatDoesNotCompileIsRefusedWithTheReason(t *testing.T) {
	deep := strings.Repeat(`{"not":`, 65) + `{}` + strings.Repeat(`}`, 65)
	tests := []struct{ name, text, reason string }{
		{"an unknown type", `{"type":"strange"}`, "/type"},
		{"a bound that is text", `{"minimum":"1"}`, "at /minimum: got string, want number"},
		{"required that is text", `{"required":"a"}`, "/required"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "into the schema itself only"},
		{"a host", `{"$ref":"http://127.0.0.1:1/x"}`, "into the schema itself only"},
		{"a neighbour", `{"$ref":"other.json"}`, "into the schema itself only"},
		{"an unknown draft", `{"$schema":"https://example.com/draft"}`, "into the schema itself only"},
		{"a reference to nowhere", `{"$ref":"#/$defs/a"}`, "$defs"},
		{"a pattern that is none", `{"pattern":"("}`, "pattern"},
		{"a pattern with a back reference", `{"pattern":"(a)\\1"}`, "pattern"},
		{"a pattern that is huge", `{"pattern":"` + strings.Repeat("a{1000}", 20) + `"}`, "pattern"},
		{"a number beyond counting", `{"maximum":1e1000000}`, "beyond what can be checked"},
		{"too deep", deep, "nests too deeply"},
		{"too long", `{"title":"` + strings.Repeat("a", maxSchema) + `"}`, "may have 65536 at most"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := newSchemas().of(&request{schema: []byte(test.text)})
			if err == nil {
				t.Fatal("it was taken")
			}
			if err.Field != "schema_definition" || err.HTTPStatus() != 422 || !strings.Contains(err.Message, test.reason) {
				t.Errorf("got %d at %q: %s", err.HTTPStatus(), err.Field, err.Message)
			}
			if len(err.Message) > maxReason+200 || strings.Contains(err.Message, schemaURL) {
				t.Errorf("the message is %s", err.Message)
			}
		})
	}
}

func TestASchemaMayReferToItselfAndToTheDrafts(t *testing.T) {
	tests := []struct{ name, text, good, bad string }{
		{"definitions", `{"$defs":{"a":{"type":"integer"}},"items":{"$ref":"#/$defs/a"}}`, `[1]`, `["1"]`},
		{"recursion", `{"properties":{"next":{"$ref":"#"}},"required":["v"]}`, `{"v":1,"next":{"v":2}}`, `{"v":1,"next":{}}`},
		{"its own id", `{"$id":"https://example.com/a","$defs":{"b":{"$id":"b","type":"string"}},"items":{"$ref":"b"}}`, `["x"]`, `[1]`},
		{"a draft", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, `{"type":"string"}`, `{"type":"strange"}`},
		{"an older draft", `{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":{"type":"null"}}`, `["a",null]`, `["a",1]`},
		{"a pattern", `{"patternProperties":{"^n":{"type":"number"}},"propertyNames":{"maxLength":3}}`, `{"n1":1}`, `{"n1":"1"}`},
		{"conditions", `{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"maxProperties":0}}`, `{"a":1,"b":2}`, `{"a":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := compile([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.judge(test.good); err != nil {
				t.Errorf("good data is refused: %v", err)
			}
			if _, err := s.judge(test.bad); err == nil {
				t.Error("bad data is taken")
			}
		})
	}
}

func TestASchemaIsCompiledOnce(t *testing.T) {
	known := newSchemas()
	first, err := known.of(&request{schema: []byte(`{"type":"object"}`)})
	if err != nil {
		t.Fatal(err)
	}
	again, _ := known.of(&request{schema: []byte(`{"type":"object"}`)})
	other, _ := known.of(&request{schema: []byte(`{"type":"array"}`)})
	if again != first || other == first {
		t.Error("schemas are mixed up, or compiled again")
	}
}

func TestRememberedSchemasAreBounded(t *testing.T) {
	known := newSchemas()
	for i := range 3 * maxSchemas / (32 << 10) {
		text := fmt.Sprintf(`{"title":"%d%s"}`, i, strings.Repeat("a", 32<<10))
		if _, err := known.of(&request{schema: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	known.known.CleanUp()
	if weight := known.known.WeightedSize(); weight > maxSchemas {
		t.Errorf("%d bytes are remembered", weight)
	}
}

// A schema of a few hundred bytes that the validator would need longer for than anybody waits.
func TestDataThatIsTooMuchWorkToCheckIsRefusedAtOnce(t *testing.T) {
	var wide strings.Builder
	wide.WriteString(`{"$defs":{"a0":{"type":"integer"}`)
	for i := range 40 {
		fmt.Fprintf(&wide, `,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i+1, i, i)
	}
	wide.WriteString(`},"$ref":"#/$defs/a40"}`)
	tests := []struct{ name, schema, data string }{
		{"many ways to one value", wide.String(), `1`},
		{"two ways at each level", `{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, strings.Repeat(`{"a":`, 60) + `{}` + strings.Repeat(`}`, 60)},
		{"two ways into each list", `{"items":{"oneOf":[{"$ref":"#"},{"$ref":"#"}]}}`, strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60)},
		{"dependent schemas", `{"dependentSchemas":{"a":{"properties":{"a":{"$ref":"#"}}},"b":{"properties":{"a":{"$ref":"#"}}}}}`,
			strings.Repeat(`{"b":1,"a":`, 60) + `{}` + strings.Repeat(`}`, 60)},
		{"a circle", `{"$ref":"#"}`, `1`},
		{"a slow pattern", `{"items":{"pattern":"(.{250}){4}b"}}`, `["` + strings.Repeat("a", 500_000) + `"]`},
		{"slow patterns of names", `{"patternProperties":{"(.{250}){4}b":{}}}`, `{"` + strings.Repeat("a", 500_000) + `":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := compile([]byte(test.schema))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.judge(test.data); err == nil || !strings.Contains(err.Error(), "too much work") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Whatever a client writes as a schema, and whatever a model says to it, checking one against the other ends.
func FuzzJudge(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, `{"a":{"a":1}}`)
	f.Add(`{"anyOf":[{"multipleOf":0.01},{"maximum":1e300}],"uniqueItems":true}`, `[1e-300,1E+0,1.0]`)
	f.Add(`{"$dynamicAnchor":"a","items":{"$dynamicRef":"#a"},"unevaluatedItems":false}`, `[[1],[]]`)
	f.Add(`{"$schema":"http://json-schema.org/draft-07/schema","dependencies":{"a":["b"]},"format":"regex"}`, `{"a":1}`)
	f.Add(`{"patternProperties":{"^a+$":{"enum":[1,"b",null]}},"propertyNames":{"not":{"const":"x"}},"minProperties":1e2}`, `{"aa":2}`)
	f.Add(`{"if":{"contains":{}},"then":{"prefixItems":[{},false]},"dependentSchemas":{"a":{}},"maxItems":-1}`, `[1,2]`)
	f.Fuzz(func(t *testing.T, text, data string) {
		if dialect.Check([]byte(text)) != nil {
			return
		}
		s, err := compile([]byte(text))
		if err != nil {
			return
		}
		if got, err := s.judge(data); err == nil && !json.Valid(got) {
			t.Errorf("data that is no JSON was taken: %q", got)
		}
	})
}
