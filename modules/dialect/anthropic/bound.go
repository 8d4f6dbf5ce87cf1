package anthropic

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// bounds are the members of a JSON Schema that say how large a value is, or of which form. Anthropic refuses them.
var bounds = []string{
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
	"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "format",
}

// unbounded is a schema without the bounds that Anthropic refuses. Each is told in the description of the value that it
// bounds, as Anthropic's own SDKs have it, so that the model still knows of it.
func unbounded(schema []byte) []byte {
	return appendUnbounded(make([]byte, 0, len(schema)+64), schema)
}

func appendUnbounded(dst, schema []byte) []byte {
	if len(schema) == 0 || schema[0] != '{' {
		return append(dst, schema...)
	}
	description, told := "", []byte{'{'}
	dst = append(dst, '{')
	for name, value := range dialect.Members(schema) {
		if refused(string(name), value) {
			told = append(dialect.Member(told, string(name)), value...)
			continue
		}
		if text, ok := dialect.Text(value); ok && string(name) == "description" {
			description = text
			continue
		}
		dst = dialect.Member(dst, string(name))
		switch string(name) {
		case "properties", "$defs", "definitions":
			dst = appendUnboundedMembers(dst, value)
		case "items", "additionalProperties":
			dst = appendUnbounded(dst, value)
		case "anyOf", "allOf", "oneOf":
			dst = appendUnboundedElements(dst, value)
		default:
			dst = append(dst, value...)
		}
	}
	if len(told) > 1 {
		if description != "" {
			description += "\n\n"
		}
		description += string(append(told, '}'))
	}
	return append(dialect.TextMember(dst, "description", description), '}')
}

func appendUnboundedMembers(dst, schemas []byte) []byte {
	if len(schemas) == 0 || schemas[0] != '{' {
		return append(dst, schemas...)
	}
	dst = append(dst, '{')
	for name, schema := range dialect.Members(schemas) {
		dst = appendUnbounded(dialect.Member(dst, string(name)), schema)
	}
	return append(dst, '}')
}

func appendUnboundedElements(dst, schemas []byte) []byte {
	if len(schemas) == 0 || schemas[0] != '[' {
		return append(dst, schemas...)
	}
	dst = append(dst, '[')
	for schema := range dialect.Elements(schemas) {
		dst = appendUnbounded(dialect.Element(dst), schema)
	}
	return append(dst, ']')
}

// refused tells whether a member of a schema is a bound that Anthropic does not take.
func refused(name string, value []byte) bool {
	return slices.Contains(bounds, name) && !boundTaken(name, value)
}

// boundTaken tells whether Anthropic keeps a model to a bound.
func boundTaken(name string, value []byte) bool {
	switch name {
	case "format":
		format, _ := dialect.Text(value)
		return slices.Contains(stringFormats, format)
	case "minItems":
		return string(value) == "0" || string(value) == "1"
	}
	return false
}
