package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// check validates an instance with an implementation of JSON Schema that is not ours.
func check(schema, instance string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		return err
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(instance))
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func TestInstancesOfRealisticSchemasAreValid(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d schemas, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			schema, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for variant := range 3 { // the variants that unique items are made of are as valid
				g := &generator{root: gjson.ParseBytes(schema), prompt: "Translate “hello” to French", work: maxWork}
				made, err := g.value(nil, []gjson.Result{g.root}, 0, variant)
				if err != nil {
					t.Fatalf("variant %d: %v", variant, err)
				}
				if err := check(string(schema), string(made)); err != nil {
					t.Errorf("variant %d: %s is no instance: %v", variant, made, err)
				}
			}
		})
	}
}

func TestInstanceIsSmall(t *testing.T) {
	for _, tt := range []struct{ schema, want string }{
		{`true`, `"demo"`},
		{`{}`, `"demo"`},
		{`{"type":"null"}`, `null`},
		{`{"type":"boolean"}`, `true`},
		{`{"type":"integer"}`, `1`},
		{`{"type":"number","maximum":0.5}`, `0`},
		{`{"type":"number","minimum":0.25,"maximum":0.75}`, `0.25`},
		{`{"type":"number","multipleOf":0.1,"minimum":2.25}`, `2.3`},
		{`{"type":["null","string"]}`, `"demo"`},
		{`{"type":"string","maxLength":2}`, `"mo"`},
		{`{"type":"string","minLength":6}`, `"modemo"`},
		{`{"enum":["b","a"]}`, `"b"`},
		{`{"enum":["b",1],"type":"integer"}`, `1`},
		{`{"enum":["b","a"],"allOf":[{"enum":["a","c"]}]}`, `"a"`},
		{`{"const":{"x":1}}`, `{"x":1}`},
		{`{"type":"integer","default":5,"examples":[6]}`, `5`},
		{`{"type":"integer","default":"five","examples":[6]}`, `6`},
		{`{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}`, `null`},
		{`{"anyOf":[{"type":"string"},{"type":"integer"}],"default":true}`, `"demo"`},
		{`{"type":"array"}`, `["demo"]`},
		{`{"type":"array","maxItems":0}`, `[]`},
		{`{"type":"array","items":{"enum":[]}}`, `[]`},
		{`{"type":"object"}`, `{}`},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, `{"demo1":1}`},
		{`{"type":"object","properties":{"a":{"type":"null"},"b":false}}`, `{"a":null}`},
		{`{"type":"object","properties":{"a":{},"b":{}},"required":["b"],"maxProperties":1}`, `{"b":"demo"}`},
		{`{"type":"object","properties":{"a":{"properties":{"b":{"properties":{"c":{}}}}}}}`, `{"a":{"b":{}}}`},
	} {
		got, err := instance(gjson.Parse(tt.schema), "", 0)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.schema, got, err, tt.want)
		}
	}
}

func TestInstanceSaysWhereItCannot(t *testing.T) {
	for _, tt := range []struct{ schema, complaint string }{
		{`false`, "allows no value"},
		{`7`, "must be an object"},
		{`{"enum":[]}`, "allows no value"},
		{`{"type":"text"}`, "unknown type"},
		{`{"type":"string","allOf":[{"type":"integer"}]}`, "allows no value"},
		{`{"type":"integer","minimum":3,"maximum":2}`, "allows no value"},
		{`{"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4}`, "allows no value"},
		{`{"type":"number","minimum":1e999999999}`, "out of range"},
		{`{"type":"number","multipleOf":0}`, "greater than 0"},
		{`{"type":"string","minLength":3,"maxLength":2}`, "allows no value"},
		{`{"type":"string","minLength":1000000000}`, "too large"},
		{`{"type":"string","pattern":"(?=x)"}`, "parsing the pattern"},
		{`{"type":"string","pattern":"^a$","maxLength":0}`, "found no text"},
		{`{"type":"string","pattern":"^(((((()*)*)*)*)*)*a$","minLength":2}`, "too large"},
		{`{"type":"string","format":"uuid","maxLength":5}`, "making a uuid"},
		{`{"type":"array","minItems":1000000000}`, "too large"},
		{`{"type":"array","minItems":3,"uniqueItems":true,"items":{"type":"boolean"}}`, "distinct"},
		{`{"type":"array","minItems":2,"items":false,"prefixItems":[{}]}`, "allows no value"},
		{`{"type":"object","required":["a"],"additionalProperties":false}`, "property a"},
		{`{"type":"object","required":["a"],"properties":{"a":false}}`, "property a"},
		{`{"type":"object","minProperties":1,"additionalProperties":false}`, "allows no value"},
		{`{"$ref":"#"}`, "too far"},
		{`{"$ref":"#/$defs/x"}`, "leads nowhere"},
		{`{"$ref":"https://example.com/schema"}`, "does not point into"},
		{`{"$ref":"#/%zz"}`, "parsing the reference"},
		{`{"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}}`, "too deeply"},
		{`{"anyOf":[]}`, "allows no value"},
		{`{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}`, ""},
	} {
		_, err := instance(gjson.Parse(tt.schema), "", 0)
		if err == nil || !strings.Contains(err.Error(), tt.complaint) {
			t.Errorf("%s: the error is %v, want %q", tt.schema, err, tt.complaint)
		}
	}
}

func TestInstanceOfAnalysisSpeaksOfThePrompt(t *testing.T) {
	schema, err := os.ReadFile("testdata/analysis.json")
	if err != nil {
		t.Fatal(err)
	}
	made, err := instance(gjson.ParseBytes(schema), `Translate "good morning" to French`, 3)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"intent":"translation","subject":"\"good morning\" to French",` +
		`"entities":{"names":["French"],"quoted":["good morning"]},"output_format":"json","original_language":"en","confidence_score":0.53}`
	if string(made) != want {
		t.Errorf("got %s, want %s", made, want)
	}

	strict := bytes.Replace(schema, []byte(`"json",`), nil, 1) // leaves xml alone in the enum
	if made, err = instance(gjson.ParseBytes(strict), "Hello", 3); err != nil || gjson.GetBytes(made, "output_format").Str != "xml" {
		t.Errorf("got %s, %v: a suggestion that the schema forbids was taken", made, err)
	}
}

// genSchema draws a schema that has instances, from the keywords that the generator heeds.
func genSchema(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "format", "pattern"}
		if depth > 0 {
			kinds = append(kinds, "array", "tuple", "object", "map", "anyOf", "allOf", "nullable")
		}
		sub := func(label string) map[string]any { return genSchema(depth-1).Draw(t, label) }
		switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
		case "string":
			low := rapid.IntRange(0, 9).Draw(t, "minLength")
			return map[string]any{"type": "string", "minLength": low, "maxLength": low + rapid.IntRange(0, 9).Draw(t, "more")}
		case "integer":
			low := rapid.IntRange(-99, 99).Draw(t, "minimum")
			step := rapid.IntRange(1, 9).Draw(t, "step")
			return map[string]any{"type": "integer", "minimum": low, "maximum": low + step + rapid.IntRange(0, 9).Draw(t, "more"), "multipleOf": step}
		case "number":
			low := float64(rapid.IntRange(-9999, 9999).Draw(t, "low")) / 100
			return map[string]any{"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + float64(rapid.IntRange(1, 100).Draw(t, "width"))/64}
		case "enum":
			return map[string]any{"enum": rapid.SliceOfN(rapid.OneOf(rapid.String().AsAny(), rapid.Int16().AsAny(), rapid.Bool().AsAny()), 1, 4).Draw(t, "values")}
		case "format":
			return map[string]any{"type": "string", "format": rapid.SampledFrom([]string{"date", "date-time", "email", "uri", "uuid", "ipv4", "time"}).Draw(t, "format")}
		case "pattern":
			return map[string]any{"type": "string", "pattern": rapid.SampledFrom([]string{`^[A-Z]{3}\d+$`, `^(red|green)?$`, `x+y*`, `^\w{2,5}(-\w)*$`}).Draw(t, "pattern")}
		case "array":
			return map[string]any{"type": "array", "items": sub("items"), "minItems": rapid.IntRange(0, 3).Draw(t, "minItems")}
		case "tuple":
			return map[string]any{"type": "array", "prefixItems": []any{sub("first"), sub("second")}, "items": false, "minItems": rapid.IntRange(0, 2).Draw(t, "minItems")}
		case "object":
			properties, required := map[string]any{}, []string{}
			for i := range rapid.IntRange(0, 4).Draw(t, "properties") {
				name := fmt.Sprintf("p%d", i)
				properties[name] = sub(name)
				if rapid.Bool().Draw(t, "required") {
					required = append(required, name)
				}
			}
			return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
		case "map":
			return map[string]any{"type": "object", "additionalProperties": sub("values"), "minProperties": rapid.IntRange(0, 3).Draw(t, "minProperties")}
		case "anyOf":
			return map[string]any{"anyOf": []any{sub("first"), sub("second")}}
		case "allOf":
			return map[string]any{"allOf": []any{sub("only"), map[string]any{"title": "nothing"}}}
		case "nullable":
			return map[string]any{"type": []string{"object", "null"}, "properties": map[string]any{"p": sub("p")}, "required": []string{"p"}}
		default:
			return map[string]any{"type": kind}
		}
	})
}

func TestInstancesOfDrawnSchemasAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema, err := json.Marshal(genSchema(3).Draw(t, "schema"))
		if err != nil {
			t.Fatal(err)
		}
		made, err := instance(gjson.ParseBytes(schema), "", 0)
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		if err := check(string(schema), string(made)); err != nil {
			t.Fatalf("%s: %s is no instance: %v", schema, made, err)
		}
	})
}

func FuzzInstance(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		schema, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(schema))
	}
	f.Fuzz(func(t *testing.T, schema string) {
		if !gjson.Valid(schema) {
			return
		}
		made, err := instance(gjson.Parse(schema), "Say “hi” to Ada.", 1)
		if err == nil && !gjson.ValidBytes(made) {
			t.Errorf("%s gives %q, which is no JSON", schema, made)
		}
	})
}
