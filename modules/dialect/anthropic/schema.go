package anthropic

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// stringFormats are the formats of strings that Anthropic keeps a model to.
var stringFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}

// maxOptional is how many members Anthropic takes in one schema that may be left out.
const maxOptional = 24

// enforceable makes of a JSON Schema one that Anthropic can keep a model to; false where that cannot be. Anthropic refuses requests whose
// schema has an object with members that the schema does not name, or says anything of size. An object that does not say whether it may
// have others is closed, for what fits then fits before. What is not surely taken counts as not.
func enforceable(schema []byte) (dialect.Raw, bool) {
	e := enforcer{dst: make([]byte, 0, len(schema)+len(schema)/8+64)}
	ok := e.schema(unbounded(schema)) && e.optional <= maxOptional
	return e.dst, ok
}

type enforcer struct {
	dst      []byte
	optional int
}

func (e *enforcer) schema(schema []byte) bool {
	if len(schema) == 0 || schema[0] != '{' {
		return false
	}
	object, closed, named, required := false, false, 0, 0
	e.dst = append(e.dst, '{')
	for name, value := range dialect.Members(schema) {
		ok := true
		switch string(name) {
		case "type":
			object = object || strings.Contains(string(value), `"object"`)
		case "required":
			for range dialect.Elements(value) {
				required++
			}
		case "additionalProperties":
			closed = string(value) == "false"
			ok = closed
		case "title", "description", "enum", "const", "default", "$schema", "format", "minItems":
		case "properties", "anyOf", "allOf", "items":
			e.dst = dialect.Member(e.dst, string(name))
			n, ok := e.inside(string(name), value)
			if !ok {
				return false
			}
			if string(name) == "properties" {
				named, object = n, object || n > 0
			}
			continue
		default: // among them references, which may go in a circle
			ok = false
		}
		if !ok {
			return false
		}
		e.dst = append(dialect.Member(e.dst, string(name)), value...)
	}
	if object && !closed {
		if named == 0 {
			return false // closed it would be empty
		}
		e.dst = dialect.RawMember(e.dst, "additionalProperties", dialect.Raw("false"))
	}
	e.optional += max(0, named-required)
	e.dst = append(e.dst, '}')
	return true
}

// inside appends the schemas that a member holds, and says how many there are.
func (e *enforcer) inside(name string, value []byte) (n int, ok bool) {
	switch {
	case name == "items":
		return 1, e.schema(value)
	case len(value) == 0 || name == "properties" && value[0] != '{' || name != "properties" && value[0] != '[':
		return 0, false
	case name == "properties":
		e.dst = append(e.dst, '{')
		for property, schema := range dialect.Members(value) {
			e.dst = dialect.Member(e.dst, string(property))
			if n++; !e.schema(schema) {
				return n, false
			}
		}
		e.dst = append(e.dst, '}')
		return n, true
	}
	e.dst = append(e.dst, '[')
	for schema := range dialect.Elements(value) {
		e.dst = dialect.Element(e.dst)
		if n++; !e.schema(schema) {
			return n, false
		}
	}
	e.dst = append(e.dst, ']')
	return n, true
}

// answerSchema is the schema that Anthropic keeps the model to. It is false where the schema of the answer goes into the prompt. A strict
// one only loses its bounds, so that Anthropic judges the rest.
func (e *requestEncoder) answerSchema() (dialect.Raw, bool) {
	f := &e.r.Format
	switch {
	case f.Kind != dialect.FormatSchema:
		return nil, false
	case f.Strict == dialect.On:
		return unbounded(f.Schema), true
	case !e.policy.PromptSchemas:
		return f.Schema, true
	}
	return enforceable(f.Schema)
}

// schemaPrompt asks for an answer by the schema in words.
func (e *requestEncoder) schemaPrompt() *dialect.Part {
	return &dialect.Part{Kind: dialect.PartText, Text: dialect.Escape(
		"Answer with one JSON value that satisfies this JSON Schema, and with nothing else, not even a code fence: " + string(e.r.Format.Schema))}
}
