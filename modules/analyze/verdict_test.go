package analyze

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const goodData = `{"intent":"translate","subject":"greeting","entities":{},"output_format":"json","original_language":"en","confidence_score":0.9}`

func newAnalysis(t testing.TB, format, definition string) *analysis {
	t.Helper()
	req := request{prompt: "Translate Hello World to French", format: format, temperature: 0.1, maxTokens: 2000}
	if definition != "" {
		req.schema = []byte(definition)
	}
	s, err := newSchemas().of(&req)
	if err != nil {
		t.Fatal(err)
	}
	return &analysis{call: &gateway.Call{Model: "m", ID: "id-1"}, req: req, schema: s}
}

func TestAcceptTakesOutputThatFits(t *testing.T) {
	tests := []struct{ name, definition, text, data string }{
		{"plain", "", goodData, goodData},
		{"white space", "", " \n" + strings.ReplaceAll(goodData, ",", " ,\n ") + "\n", goodData},
		{"fenced", "", "```json\n" + goodData + "\n```", goodData},
		{"fenced without a language", "", "\n```\n" + goodData + "```\n", goodData},
		{"an own schema", `{"type":"array","items":{"type":"integer"}}`, `[1, 2]`, `[1,2]`},
		{"a name that a request may not have", `{"required":["Model"]}`, `{"Model":1}`, `{"Model":1}`},
		{"numbers as they are written", `{"type":"array"}`, `[9007199254740993, 1.50e2]`, `[9007199254740993,1.50e2]`},
		{"text as it is written", `{}`, `"\u00e9é"`, `"\u00e9é"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAnalysis(t, "json", test.definition)
			answer, again, failure := a.accept(completion(test.text, "stop"), false)
			if failure != nil || again != nil {
				t.Fatalf("not taken: %v, again with %s", failure, again)
			}
			if !json.Valid(answer) {
				t.Fatalf("the answer is not JSON: %s", answer)
			}
			parts, err := openAnswer(answer)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := dialect.Text(parts.raw)
			if string(parts.data) != test.data || raw != test.text || string(parts.validated) != "true" {
				t.Errorf("got data %s, raw %q, validated %s", parts.data, raw, parts.validated)
			}
		})
	}
}

func TestAcceptSendsUnfitOutputBackOnceWithTheComplaint(t *testing.T) {
	tests := []struct{ name, definition, text, finish, reason string }{
		{"prose", "", "Sure! Here it is.", "stop", "not valid JSON"},
		{"prose before JSON", "", "Here: " + goodData, "stop", "not valid JSON"},
		{"half", "", goodData[:40], "length", "cut off at max_tokens (2000)"},
		{"nothing", "", "", "stop", "empty"},
		{"an empty fence", "", "```json\n```", "stop", "empty"},
		{"two values", "", goodData + goodData, "stop", "not valid JSON"},
		{"a name twice", `{}`, `{"a":1,"a":2}`, "stop", "duplicate"},
		{"half a surrogate", `{}`, `"\ud800"`, "stop", "not valid JSON"},
		{"missing members", "", `{"intent":"x"}`, "stop", "missing properties"},
		{"another format", "", strings.Replace(goodData, `"json"`, `"xml"`, 1), "stop", "at /output_format"},
		{"a language's name", "", strings.Replace(goodData, `"en"`, `"English"`, 1), "stop", "at /original_language"},
		{"too sure", "", strings.Replace(goodData, "0.9", "1.1", 1), "stop", "at /confidence_score"},
		{"one member more", "", strings.Replace(goodData, "{", `{"note":"x",`, 1), "stop", "note"},
		{"an own schema", `{"properties":{"a":{"items":{"type":"integer"}}}}`, `{"a":[1,"2"]}`, "stop", "at /a/1: got string, want integer"},
		{"a number beyond counting", `{"maximum":5}`, `1e999999999`, "stop", "beyond what can be checked"},
		{"too deep", `{}`, strings.Repeat("[", 257) + strings.Repeat("]", 257), "stop", "nests too deeply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAnalysis(t, "json", test.definition)
			answer, again, failure := a.accept(completion(test.text, test.finish), false)
			if answer != nil || failure != nil || again == nil {
				t.Fatalf("got answer %s, failure %v, again %s", answer, failure, again)
			}
			if fault := dialect.Check(again); fault != nil {
				t.Fatal(fault)
			}
			messages := gjson.GetBytes(again, "messages").Array()
			if len(messages) != 4 || messages[1].Get("content").Str != a.req.prompt ||
				messages[2].Get("role").Str != "assistant" || messages[2].Get("content").Str != test.text ||
				messages[3].Get("role").Str != "user" || !strings.Contains(messages[3].Get("content").Str, test.reason) {
				t.Errorf("the second try says %s", gjson.GetBytes(again, "messages"))
			}
			if s := gjson.GetBytes(again, "response_format.json_schema.schema").Raw; s != string(a.schema.text) {
				t.Errorf("the second try has the schema %s", s)
			}

			answer, again, failure = a.accept(completion(test.text, test.finish), true)
			if answer != nil || again != nil || failure == nil {
				t.Fatalf("the last try: got answer %s, failure %v, again %s", answer, failure, again)
			}
			reason, _ := failure.Details["reason"].(string)
			if failure.Kind != dialect.UpstreamParsing || failure.HTTPStatus() != 502 || !strings.Contains(reason, test.reason) {
				t.Errorf("the last try: %v, reason %q", failure, reason)
			}
		})
	}
}

func TestAcceptDoesNotAskAgainWhereThatIsNoUse(t *testing.T) {
	tests := []struct {
		name, body string
		kind       dialect.Kind
	}{
		{"a refusal", `{"choices":[{"message":{"content":null,"refusal":"I will not."},"finish_reason":"stop"}]}`, dialect.UpstreamParsing},
		{"a filter", `{"choices":[{"message":{"content":"{"},"finish_reason":"content_filter"}]}`, dialect.UpstreamParsing},
		{"half a body", `{"choices":[{"message":`, dialect.UpstreamFailed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, again, failure := newAnalysis(t, "json", "").accept([]byte(test.body), false)
			if answer != nil || again != nil || failure == nil || failure.Kind != test.kind {
				t.Errorf("got answer %s, failure %v, again %s", answer, failure, again)
			}
		})
	}
}

func TestAcceptWantsTheFormatThatWasAskedFor(t *testing.T) {
	a := newAnalysis(t, "xml", "")
	if _, again, _ := a.accept(completion(goodData, "stop"), false); again == nil {
		t.Error("data of the format json was taken")
	}
	answer, _, _ := a.accept(completion(strings.Replace(goodData, `"json"`, `"xml"`, 1), "stop"), false)
	if gjson.GetBytes(answer, "data.output_format").Str != "xml" {
		t.Errorf("got %s", answer)
	}
}

func TestWhatIsToldAboutUnfitOutputIsBounded(t *testing.T) {
	a := newAnalysis(t, "json", `{"items":{"type":"integer"}}`)
	text := `["` + strings.Repeat(`a","`, 5000) + `"]`
	_, again, _ := a.accept(completion(text, "stop"), false)
	if len(again) > 32<<10 {
		t.Errorf("the second try has %d bytes", len(again))
	}
	_, _, failure := a.accept(completion(text, "stop"), true)
	if reason := failure.Details["reason"].(string); len(reason) > maxReason+8 {
		t.Errorf("the reason has %d bytes", len(reason))
	}
}

func BenchmarkAccept(b *testing.B) {
	a := newAnalysis(b, "json", "")
	body := completion(goodData, "stop")
	b.ReportAllocs()
	for b.Loop() {
		if answer, _, _ := a.accept(body, false); answer == nil {
			b.Fatal("not taken")
		}
	}
}
