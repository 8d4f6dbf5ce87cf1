package analyze

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds and defaults of a request's fields.
const (
	maxPrompt          = 10_000 // characters, once trimmed
	maxTemperature     = 2.0
	defaultTemperature = 0.1
	minTokens          = 50
	maxTokens          = 8_000
	defaultTokens      = 2_000
	maxCacheTTL        = 86_400 // seconds
	defaultCacheTTL    = time.Hour
)

// auto is the llm_provider that leaves the choice to the gateway.
const auto = "auto"

// The formats that output_format knows.
const (
	formatJSON = "json"
	formatXML  = "xml"
)

// request is what a client asks for, with the defaults filled in.
type request struct {
	prompt      string // trimmed
	provider    string
	format      string
	schema      []byte // as the client wrote it, nil where there is none; part of the body
	temperature float64
	maxTokens   int64
	cacheTTL    time.Duration
	metadata    []byte // as the client wrote it, nil where there is none; part of the body
}

// parseRequest reads a body that dialect.Check has passed. A member that is null counts as left out. One that the
// surface does not know is an error: a misspelt field would otherwise do nothing, silently.
func parseRequest(body []byte) (request, *dialect.Error) {
	req := request{
		provider:    auto,
		format:      formatJSON,
		temperature: defaultTemperature,
		maxTokens:   defaultTokens,
		cacheTTL:    defaultCacheTTL,
	}
	prompted := false
	for name, value := range dialect.Members(body) {
		if value[0] == 'n' && knownField(string(name)) { // null: no other value begins so
			continue
		}
		var err *dialect.Error
		switch string(name) {
		case "prompt":
			prompted = true
			req.prompt, err = parsePrompt(value)
		case "llm_provider":
			req.provider, err = parseText("llm_provider", value)
		case "output_format":
			req.format, err = parseFormat(value)
		case "schema_definition":
			req.schema, err = parseObject("schema_definition", "a JSON Schema as an object", value)
		case "temperature":
			req.temperature, err = parseTemperature(value)
		case "max_tokens":
			req.maxTokens, err = parseWhole("max_tokens", value, minTokens, maxTokens)
		case "cache_ttl":
			var seconds int64
			seconds, err = parseWhole("cache_ttl", value, 0, maxCacheTTL)
			req.cacheTTL = time.Duration(seconds) * time.Second
		case "metadata":
			req.metadata, err = parseObject("metadata", "an object", value)
		default:
			field := cmp.Or(clip(string(name), 64), `""`) // a name may be empty, a field may not
			err = invalid(field, "%s is no field of this request; the fields are %s", field, strings.Join(fields[:], ", "))
		}
		if err != nil {
			return req, err
		}
	}
	if !prompted {
		return req, invalid("prompt", "prompt is required: send a text of 1 to 10,000 characters")
	}
	return req, nil
}

var fields = [...]string{
	"prompt", "llm_provider", "output_format", "schema_definition", "temperature", "max_tokens", "cache_ttl", "metadata",
}

func knownField(name string) bool {
	for _, field := range fields {
		if field == name {
			return true
		}
	}
	return false
}

func parsePrompt(value []byte) (string, *dialect.Error) {
	text, err := parseText("prompt", value)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	// A character has at most four bytes, so most prompts need no counting.
	if len(text) > maxPrompt && utf8.RuneCountInString(text) > maxPrompt {
		return "", invalid("prompt", "prompt has %d characters and may have 10,000 at most", utf8.RuneCountInString(text))
	}
	if text == "" {
		return "", invalid("prompt", "prompt is empty: send a text of 1 to 10,000 characters")
	}
	return text, nil
}

func parseFormat(value []byte) (string, *dialect.Error) {
	switch {
	case bytes.Equal(value, []byte(`"json"`)):
		return formatJSON, nil
	case bytes.Equal(value, []byte(`"xml"`)):
		return formatXML, nil
	}
	if text, ok := dialect.Text(value); ok && (text == formatJSON || text == formatXML) {
		return text, nil
	}
	return "", invalid("output_format", `output_format must be "json" or "xml"`)
}

func parseText(field string, value []byte) (string, *dialect.Error) {
	text, ok := dialect.Text(value)
	if !ok {
		return "", invalid(field, "%s must be a string", field)
	}
	return text, nil
}

func parseObject(field, what string, value []byte) ([]byte, *dialect.Error) {
	if value[0] != '{' {
		return nil, invalid(field, "%s must be %s", field, what)
	}
	return value, nil
}

func parseTemperature(value []byte) (float64, *dialect.Error) {
	t, err := strconv.ParseFloat(string(value), 64)
	if err != nil || t < 0 || t > maxTemperature {
		return 0, invalid("temperature", "temperature must be a number from 0 to 2")
	}
	return max(t, 0), nil // -0 becomes 0
}

func parseWhole(field string, value []byte, least, most int64) (int64, *dialect.Error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < least || n > most {
		return 0, invalid(field, "%s must be a whole number from %d to %d", field, least, most)
	}
	return n, nil
}

func invalid(field, format string, args ...any) *dialect.Error {
	return &dialect.Error{Kind: dialect.Validation, Field: field, Message: fmt.Sprintf(format, args...)}
}

// clip shortens a text of someone else's to at most n bytes and a mark.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
