package openai

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestStructuredOutputInTheServersForm(t *testing.T) {
	const schema = `{"type":"object"}`
	body := strings.Replace(question, `"messages"`, `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":`+schema+`}},"messages"`, 1)
	for form, want := range map[string]string{
		SchemaStandard: `{"type":"json_schema","json_schema":{"name":"x","schema":` + schema + `}}`,
		SchemaObject:   `{"type":"json_object","schema":` + schema + `}`,
		SchemaNone:     "",
	} {
		calls := make(chan sent, 2)
		base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls <- keep(t, r)
			providertest.Says(200, "application/json", answer)(w, r)
		})
		p := newProvider(t, base, func(p *Provider) { p.Schema = form })
		a := ask(false)
		a.Body = []byte(body)
		plain := ask(false)
		plain.Body = []byte(strings.Replace(question, `"messages"`, `"response_format":{"type":"json_object"},"messages"`, 1))
		for _, a := range []*gateway.Attempt{a, plain} {
			if _, err := p.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		got := <-calls
		if string(got.body["response_format"]) != want {
			t.Errorf("%s sends %s, want %s", form, got.body["response_format"], want)
		}
		if prompted := strings.Contains(string(got.body["messages"]), `{\"type\":\"object\"}`); prompted != (form != SchemaStandard) {
			t.Errorf("%s sends the messages %s", form, got.body["messages"])
		}
		if got := (<-calls).body["response_format"]; string(got) != `{"type":"json_object"}` {
			t.Errorf("%s sends %s for a form that needs no change", form, got)
		}
	}
}

func TestASchemaInThePromptIsTheSystemsWord(t *testing.T) {
	const words = `Answer with one JSON value that satisfies this JSON Schema, and with nothing else, not even a code fence: {\"type\":\"string\"}`
	for name, tt := range map[string]struct{ messages, want string }{
		"behind the system's": {`[ {"role":"system","content":"Be \"kind\"."}, {"role":"user","content":"hi"}]`,
			`[ {"role":"system","content":"Be \"kind\".\n\n` + words + `"}, {"role":"user","content":"hi"}]`},
		"behind the developer's": {`[{"content":"x","role":"developer"}]`, `[{"content":"x\n\n` + words + `","role":"developer"}]`},
		"before the user's":      {`[{"role":"user","content":"hi"}]`, `[{"role":"system","content":"` + words + `"},{"role":"user","content":"hi"}]`},
		"before parts": {`[{"role":"system","content":[{"type":"text","text":"x"}]}]`,
			`[{"role":"system","content":"` + words + `"},{"role":"system","content":[{"type":"text","text":"x"}]}]`},
		"of none": {`[]`, `[{"role":"system","content":"` + words + `"}]`},
		"no list": {`{}`, ``},
	} {
		body := `{"x":[1], "messages": ` + tt.messages + `}`
		got := string(promptSchema(gjson.Get(body, "messages"), `{"type":"string"}`))
		if got != tt.want || got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestTheFormOfStructuredOutputIsTheAddresss(t *testing.T) {
	for base, want := range map[string]string{
		vendor.Base: SchemaStandard, "http://localhost:11434/v1": SchemaStandard, "https://api.deepseek.com": SchemaNone, "https://api.deepseek.com/v1": SchemaNone,
	} {
		if got := newProvider(t, base, nil).Schema; got != want {
			t.Errorf("%s takes %s, want %s", base, got, want)
		}
	}
	if p := newProvider(t, "https://api.deepseek.com", func(p *Provider) { p.Schema = SchemaObject }); p.Schema != SchemaObject {
		t.Errorf("the config says json_object, and it is %s", p.Schema)
	}
}
