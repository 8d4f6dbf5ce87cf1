package anthropic

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// stringFormats are the formats of strings that Anthropic keeps a model to.
var stringFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}

// enforceable tells whether Anthropic can keep a model to a JSON Schema. It refuses requests whose schema has an object with members
// that the schema does not name, or says anything of size. What is not surely taken counts as not.
func enforceable(schema []byte) bool {
	if len(schema) == 0 || schema[0] != '{' {
		return false
	}
	object, closed := false, false
	for name, value := range dialect.Members(schema) {
		ok := true
		switch string(name) {
		case "type":
			object = strings.Contains(string(value), `"object"`)
		case "title", "description", "required", "enum", "const", "default", "$schema":
		case "additionalProperties":
			closed = string(value) == "false"
			ok = closed
		case "format", "minItems":
			ok = boundTaken(string(name), value)
		case "properties":
			for _, property := range dialect.Members(value) {
				ok = ok && enforceable(property)
			}
		case "anyOf", "allOf":
			for option := range dialect.Elements(value) {
				ok = ok && enforceable(option)
			}
		case "items":
			ok = enforceable(value)
		default: // among them references, which may go in a circle
			ok = false
		}
		if !ok {
			return false
		}
	}
	return closed || !object
}

// promptsSchema tells whether the schema of the answer goes into the prompt.
func (e *requestEncoder) promptsSchema() bool {
	f := &e.r.Format
	return e.policy.PromptSchemas && f.Kind == dialect.FormatSchema && f.Strict != dialect.On && !enforceable(f.Schema)
}

// schemaPrompt asks for an answer by the schema in words.
func (e *requestEncoder) schemaPrompt() *dialect.Part {
	return &dialect.Part{Kind: dialect.PartText, Text: dialect.Escape(
		"Answer with one JSON value that satisfies this JSON Schema, and with nothing else, not even a code fence: " + string(e.r.Format.Schema))}
}
