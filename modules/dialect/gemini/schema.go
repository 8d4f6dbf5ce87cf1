package gemini

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// schemaOf makes a JSON Schema of Google's own kind of schema, which is OpenAPI's of 3.0: types are in capitals,
// nullable is a member, and bounds may be strings. What is only for Google is left out.
func schemaOf(value []byte) dialect.Raw {
	if len(value) == 0 || value[0] != '{' {
		return value
	}
	return appendSchema(make([]byte, 0, len(value)), value)
}

func appendSchema(dst, schema []byte) []byte {
	if len(schema) == 0 || schema[0] != '{' {
		return append(dst, schema...)
	}
	nullable := false
	for name, value := range fields(schema) {
		nullable = nullable || string(name) == "nullable" && string(value) == "true"
	}
	dst = append(dst, '{')
	for name, value := range fields(schema) {
		switch string(name) {
		case "nullable", "propertyOrdering", "example":
			continue
		}
		dst = dialect.Member(dst, string(name))
		switch string(name) {
		case "type":
			dst = appendType(dst, value, nullable)
		case "enum":
			dst = appendEnum(dst, value, nullable)
		case "properties", "$defs", "defs":
			dst = appendProperties(dst, value)
		case "items", "additionalProperties":
			dst = appendSchema(dst, value)
		case "anyOf", "oneOf", "prefixItems":
			dst = appendSchemas(dst, value)
		case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
			dst = append(dst, bound(value)...)
		default:
			dst = append(dst, value...)
		}
	}
	return append(dst, '}')
}

func appendType(dst, value []byte, nullable bool) []byte {
	name := dialect.InsideOf(value)
	if name == nil {
		return append(dst, value...)
	}
	if nullable {
		dst = append(dst, '[')
	}
	dst = dialect.Inside(bytes.ToLower(name)).Quote(dst)
	if nullable {
		dst = append(dst, `,"null"]`...)
	}
	return dst
}

// appendEnum appends the values that are allowed. Null is one where the type says so.
func appendEnum(dst, values []byte, nullable bool) []byte {
	if !nullable || values[0] != '[' {
		return append(dst, values...)
	}
	dst = append(dst, '[')
	for value := range dialect.Elements(values) {
		if string(value) != "null" {
			dst = append(dialect.Element(dst), value...)
		}
	}
	return append(dialect.Element(dst), "null]"...)
}

func appendProperties(dst, properties []byte) []byte {
	if properties[0] != '{' {
		return append(dst, properties...)
	}
	dst = append(dst, '{')
	for name, schema := range dialect.Members(properties) {
		dst = appendSchema(dialect.Member(dst, string(name)), schema)
	}
	return append(dst, '}')
}

func appendSchemas(dst, schemas []byte) []byte {
	if schemas[0] != '[' {
		return append(dst, schemas...)
	}
	dst = append(dst, '[')
	for schema := range dialect.Elements(schemas) {
		dst = appendSchema(dialect.Element(dst), schema)
	}
	return append(dst, ']')
}

// bound is a number that may be in quotes, as integers of 64 bits are in Google's JSON.
func bound(value []byte) []byte {
	if in := dialect.InsideOf(value); in != nil {
		if _, ok := dialect.Raw(in).Number(); ok && dialect.Check(append(append([]byte(`{"":`), in...), '}')) == nil {
			return in
		}
	}
	return value
}
