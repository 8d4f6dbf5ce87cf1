package analyze

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestParseRequestTakesWhatTheContractAllows(t *testing.T) {
	defaults := request{prompt: "hi", provider: "auto", format: "json", temperature: 0.1, maxTokens: 2000, cacheTTL: time.Hour}
	with := func(change func(*request)) request {
		req := defaults
		change(&req)
		return req
	}
	tests := []struct {
		name, body string
		want       request
	}{
		{"the defaults", `{"prompt":"hi"}`, defaults},
		{"null counts as left out", `{"prompt":"hi","llm_provider":null,"output_format":null,"schema_definition":null,"temperature":null,"max_tokens":null,"cache_ttl":null,"metadata":null}`, defaults},
		{"a prompt is trimmed", `{"prompt":"\n \u00a0 hi\t"}`, defaults},
		{"all fields", `{ "prompt" : "hi", "llm_provider":"claude","output_format":"xml","schema_definition":{"type":"array"},"temperature":2.0,"max_tokens":50,"cache_ttl":86400,"metadata":{"a":[1]}}`,
			request{prompt: "hi", provider: "claude", format: "xml", schema: []byte(`{"type":"array"}`), temperature: 2, maxTokens: 50, cacheTTL: 24 * time.Hour, metadata: []byte(`{"a":[1]}`)}},
		{"the coldest", `{"prompt":"hi","temperature":-0.0}`, with(func(r *request) { r.temperature = 0 })},
		{"the most tokens", `{"prompt":"hi","max_tokens":8000}`, with(func(r *request) { r.maxTokens = 8000 })},
		{"no caching", `{"prompt":"hi","cache_ttl":0}`, with(func(r *request) { r.cacheTTL = 0 })},
		{"an escaped format", `{"prompt":"hi","output_format":"\u0078ml"}`, with(func(r *request) { r.format = "xml" })},
		{"an escaped name", `{"\u0070rompt":"hi"}`, defaults},
		{"the longest prompt", `{"prompt":"` + strings.Repeat("é", 10_000) + `"}`, with(func(r *request) { r.prompt = strings.Repeat("é", 10_000) })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseRequest([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestParseRequestNamesTheFieldThatBreaksItsRule(t *testing.T) {
	tests := []struct{ name, member, field, rule string }{
		{"no prompt", `"temperature":1`, "prompt", "required"},
		{"null prompt", `"prompt":null`, "prompt", "required"},
		{"prompt is a number", `"prompt":7`, "prompt", "must be a string"},
		{"empty prompt", `"prompt":""`, "prompt", "1 to 10,000"},
		{"blank prompt", `"prompt":" \n\t\u2003"`, "prompt", "1 to 10,000"},
		{"long prompt", `"prompt":"` + strings.Repeat("é", 10_001) + `"`, "prompt", "10,000 at most"},
		{"provider is a number", `"llm_provider":7`, "llm_provider", "must be a string"},
		{"unknown format", `"output_format":"yaml"`, "output_format", `"json" or "xml"`},
		{"format is a number", `"output_format":1`, "output_format", `"json" or "xml"`},
		{"schema is text", `"schema_definition":"{}"`, "schema_definition", "as an object"},
		{"schema is a bool", `"schema_definition":true`, "schema_definition", "as an object"},
		{"hot", `"temperature":2.0001`, "temperature", "from 0 to 2"},
		{"cold", `"temperature":-0.1`, "temperature", "from 0 to 2"},
		{"temperature is text", `"temperature":"1"`, "temperature", "from 0 to 2"},
		{"temperature is endless", `"temperature":1e999`, "temperature", "from 0 to 2"},
		{"few tokens", `"max_tokens":49`, "max_tokens", "from 50 to 8000"},
		{"many tokens", `"max_tokens":8001`, "max_tokens", "from 50 to 8000"},
		{"broken tokens", `"max_tokens":100.5`, "max_tokens", "whole number"},
		{"tokens are text", `"max_tokens":"100"`, "max_tokens", "whole number"},
		{"endless tokens", `"max_tokens":99999999999999999999`, "max_tokens", "whole number"},
		{"negative TTL", `"cache_ttl":-1`, "cache_ttl", "from 0 to 86400"},
		{"long TTL", `"cache_ttl":86401`, "cache_ttl", "from 0 to 86400"},
		{"TTL is a bool", `"cache_ttl":true`, "cache_ttl", "whole number"},
		{"metadata is a list", `"metadata":[1]`, "metadata", "an object"},
		{"unknown member", `"ttl":60`, "ttl", "cache_ttl"},
		{"unnamed member", `"":1`, `""`, "is no field"},
		{"unknown null", `"ttl":null`, "ttl", "cache_ttl"},
		{"long unknown member", `"` + strings.Repeat("é", 100) + `":1`, strings.Repeat("é", 32) + "…", "is no field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := `{` + test.member + `,"prompt":"hi"}`
			if strings.HasSuffix(test.field, "prompt") {
				body = `{` + test.member + `}`
			}
			_, err := parseRequest([]byte(body))
			if err == nil {
				t.Fatal("it was taken")
			}
			if err.Kind != dialect.Validation || err.HTTPStatus() != 422 || err.Field != test.field || !strings.Contains(err.Message, test.rule) {
				t.Errorf("got %d %s at field %q: %s", err.HTTPStatus(), err.Kind, err.Field, err.Message)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"prompt":"hi"}`))
	f.Add([]byte(`{"prompt":"\ud800","llm_provider":null,"max_tokens":1e3,"metadata":{"a":{}}}`))
	f.Add([]byte(`{"prompt":"hi","schema_definition":{"type":"object","pattern":"("},"temperature":1.5,"cache_ttl":0}`))
	f.Add([]byte(`{"prompt":"hi","schema_definition":{"$ref":"file:///etc/passwd"}}`))
	f.Add([]byte(`{"prompt":"hi","schema_definition":{"maximum":1e99999,"$schema":"http://json-schema.org/draft-04/schema"}}`))
	known := newSchemas()
	f.Fuzz(func(t *testing.T, body []byte) {
		if dialect.Check(body) != nil {
			return
		}
		req, err := parseRequest(body)
		if err != nil {
			if err.Field == "" || err.Message == "" || !utf8.ValidString(err.Message) {
				t.Errorf("an error without field or message: %+v", err)
			}
			return
		}
		if n := utf8.RuneCountInString(req.prompt); n < 1 || n > maxPrompt || req.temperature < 0 || req.temperature > 2 ||
			req.maxTokens < 50 || req.maxTokens > 8000 || req.cacheTTL < 0 || req.cacheTTL > 24*time.Hour {
			t.Errorf("out of bounds: %+v", req)
		}
		s, err := known.of(&req)
		if err != nil {
			if err.Field != "schema_definition" {
				t.Errorf("the schema's error is at %q", err.Field)
			}
			return
		}
		checkNative(t, &req, s)
		s.judge(req.prompt) //nolint:errcheck // it must only end, and not panic
	})
}

type fataler interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// checkNative checks that the native body says what the request does.
func checkNative(t fataler, req *request, s *schema) {
	t.Helper()
	a := &analysis{call: &gateway.Call{Model: "m"}, req: *req, schema: s}
	body, err := a.native()
	if err != nil {
		t.Fatalf("making the native body: %v", err)
	}
	again, _ := a.native()
	if string(body) != string(again) {
		t.Errorf("two bodies for one request")
	}
	for _, b := range [][]byte{body, a.appendNative(nil, &correction{output: "\xff\"" + req.prompt, reason: "\x00"})} {
		if fault := dialect.Check(b); fault != nil {
			t.Fatalf("the native body is not valid: %v\n%s", fault, b)
		}
	}
	if fault := dialect.Check(appendCacheBody(nil, req, s, target{provider: "p", model: "m"})); fault != nil {
		t.Errorf("the cache body is not valid: %v", fault)
	}
	var native struct {
		Model          string
		Messages       []struct{ Role, Content string }
		Temperature    float64
		MaxTokens      int64 `json:"max_tokens"`
		ResponseFormat struct {
			Type       string
			JSONSchema struct {
				Name   string
				Schema any
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.Unmarshal(body, &native); err != nil {
		t.Fatalf("reading the native body: %v", err)
	}
	var want any
	if err := json.Unmarshal(s.text, &want); err != nil {
		t.Fatalf("reading the schema: %v", err)
	}
	if !reflect.DeepEqual(native.ResponseFormat.JSONSchema.Schema, want) || native.ResponseFormat.Type != "json_schema" {
		t.Errorf("the native body has another schema:\n%s", body)
	}
	if len(native.Messages) != 2 || native.Messages[0].Role != "system" || native.Messages[1].Role != "user" ||
		native.Messages[1].Content != req.prompt {
		t.Errorf("the messages are %q", native.Messages)
	}
	if native.Model != "m" || native.Temperature != req.temperature || native.MaxTokens != req.maxTokens {
		t.Errorf("got %+v\nof %+v", native, req)
	}
}

func TestEveryValidRequestBecomesANativeBodyWithItsOwnSchema(t *testing.T) {
	known := newSchemas()
	rapid.Check(t, func(t *rapid.T) {
		body := map[string]any{"prompt": "x" + rapid.StringN(0, 200, 1000).Draw(t, "prompt")}
		if rapid.Bool().Draw(t, "with a schema") {
			body["schema_definition"] = drawSchema(t, 3)
		}
		if rapid.Bool().Draw(t, "with numbers") {
			body["temperature"] = rapid.Float64Range(0, 2).Draw(t, "temperature")
			body["max_tokens"] = rapid.Int64Range(50, 8000).Draw(t, "max_tokens")
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, fault := parseRequest(text)
		if fault != nil {
			t.Fatal(fault)
		}
		s, fault := known.of(&req)
		if fault != nil {
			t.Fatal(fault)
		}
		checkNative(t, &req, s)
	})
}

func drawSchema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "number", "boolean"}
	if depth > 0 {
		kinds = append(kinds, "array", "object")
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "type")
	schema := map[string]any{"type": kind, "description": rapid.StringN(0, 20, 80).Draw(t, "description")}
	switch kind {
	case "array":
		schema["items"] = drawSchema(t, depth-1)
	case "object":
		properties := make(map[string]any)
		for _, name := range rapid.SliceOfNDistinct(rapid.StringN(1, 8, 32), 0, 4, rapid.ID).Draw(t, "names") {
			properties[name] = drawSchema(t, depth-1)
		}
		schema["properties"] = properties
	case "number":
		schema["maximum"] = rapid.Float64Range(-1e9, 1e9).Draw(t, "maximum")
	}
	return schema
}

func TestTheCacheBodyIsTheSameForRequestsThatMeanTheSame(t *testing.T) {
	known := newSchemas()
	key := func(t *testing.T, body string) string {
		t.Helper()
		req, err := parseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		s, err := known.of(&req)
		if err != nil {
			t.Fatal(err)
		}
		return string(appendCacheBody(nil, &req, s, target{provider: "p", model: "m"}))
	}
	base := key(t, `{"prompt":"hi","schema_definition":{"type":"object","title":"a"}}`)
	for name, same := range map[string]string{
		"defaults spelt out": `{"temperature":0.10,"max_tokens":2000,"output_format":"json","prompt":" hi ","schema_definition":{"type":"object","title":"a"}}`,
		"another TTL":        `{"prompt":"hi","cache_ttl":5,"schema_definition":{"type":"object","title":"a"}}`,
		"other metadata":     `{"prompt":"hi","metadata":{"run":1},"schema_definition":{"type":"object","title":"a"}}`,
		"another order":      `{"schema_definition":{ "title":"\u0061", "type":"object" },"prompt":"\u0068i"}`,
	} {
		if got := key(t, same); got != base {
			t.Errorf("%s: got %s\nwant %s", name, got, base)
		}
	}
	for name, other := range map[string]string{
		"prompt":      `{"prompt":"ho","schema_definition":{"type":"object","title":"a"}}`,
		"format":      `{"prompt":"hi","output_format":"xml","schema_definition":{"type":"object","title":"a"}}`,
		"schema":      `{"prompt":"hi","schema_definition":{"type":"object","title":"b"}}`,
		"no schema":   `{"prompt":"hi"}`,
		"temperature": `{"prompt":"hi","temperature":0.2,"schema_definition":{"type":"object","title":"a"}}`,
		"max_tokens":  `{"prompt":"hi","max_tokens":2001,"schema_definition":{"type":"object","title":"a"}}`,
	} {
		if key(t, other) == base {
			t.Errorf("another %s makes no other cache body", name)
		}
	}
}
