package openai

import (
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// The forms in which a server can be asked for an answer that fits a JSON Schema.
const (
	SchemaStandard = "json_schema" // OpenAI's own: response_format {"type":"json_schema","json_schema":{"schema":…}}
	SchemaObject   = "json_object" // llama-cpp-python's: response_format {"type":"json_object","schema":…}
	SchemaNone     = "none"        // none: the schema travels in the prompt alone
)

// schemaless are hosts whose servers refuse a response_format of type json_schema.
var schemaless = map[string]bool{"api.deepseek.com": true}

// formOf is the form that the servers at some addresses take.
func formOf(bases []string) string {
	for _, base := range bases {
		if u, err := url.Parse(base); err == nil && schemaless[u.Hostname()] {
			return SchemaNone
		}
	}
	return SchemaStandard
}

// schemaEdits rewrite a response_format of type json_schema into the server's own form, and put the schema into the prompt: a server
// may take a schema for a hint, or not look at it at all.
func schemaEdits(body []byte, form string) []dialect.Edit {
	format := gjson.GetBytes(body, "response_format")
	schema := format.Get("json_schema.schema")
	if format.Get("type").Str != SchemaStandard || !schema.IsObject() {
		return nil
	}
	edits := []dialect.Edit{{Name: "response_format"}}
	if form == SchemaObject {
		edits[0].Value = []byte(`{"type":"json_object","schema":` + schema.Raw + `}`)
	}
	if messages := promptSchema(gjson.GetBytes(body, "messages"), schema.Raw); messages != nil {
		edits = append(edits, dialect.Edit{Name: "messages", Value: messages})
	}
	return edits
}

// promptSchema asks for the schema in the system's message or, where the first one is of another kind, in one before it.
func promptSchema(messages gjson.Result, schema string) []byte {
	if !messages.IsArray() {
		return nil
	}
	words := dialect.Escape("Answer with one JSON value that satisfies this JSON Schema, and with nothing else, not even a code fence: " + schema)
	first := messages.Get("0")
	content := first.Get("content")
	dst := make([]byte, 0, len(messages.Raw)+len(words)+64)
	if role := first.Get("role").Str; role == "system" || role == "developer" {
		if content.Type == gjson.String && content.Index > 0 {
			end := content.Index - messages.Index + len(content.Raw) - 1 // of the text, before its quote
			dst = append(dst, messages.Raw[:end]...)
			dst = append(append(dst, `\n\n`...), words...)
			return append(dst, messages.Raw[end:]...)
		}
	}
	dst = append(dst, `[{"role":"system","content":"`...)
	dst = append(append(dst, words...), `"}`...)
	if first.Exists() {
		dst = append(dst, ',')
	}
	return append(dst, messages.Raw[1:]...)
}
