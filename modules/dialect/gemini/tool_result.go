package gemini

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// response is what a functionResponse tells.
type response struct {
	value []byte
	parts []byte
}

// decode reads a tool's result: what it calls its output, or its error, and else all of it, as Google reads it.
func (r *response) decode() (result []dialect.Part, failed bool) {
	text := dialect.InsideOf(dialect.Quote(nil, r.value))
	if name, value := lone(r.value); isOutput(name) {
		if failed = name == "error"; value[0] == '"' {
			text = dialect.InsideOf(value)
		} else {
			text = dialect.InsideOf(dialect.Quote(nil, value))
		}
	}
	if len(text) > 0 {
		result = append(result, dialect.Part{Kind: dialect.PartText, Text: text})
	}
	for raw := range dialect.Elements(list(r.parts)) {
		p := readPart(raw)
		result = append(result, p.decode())
	}
	return result, failed
}

// isOutput tells whether a member's name says that it is all of a tool's result.
func isOutput(name string) bool { return name == "output" || name == "result" || name == "error" }

// lone gives the only member of an object; nothing where it has several.
func lone(object []byte) (name string, value []byte) {
	n := 0
	for key, v := range dialect.Members(object) {
		if n++; n > 1 {
			return "", nil
		}
		name, value = string(key), v
	}
	return name, value
}

// result appends the member functionResponse. Google wants the name of the tool, which other dialects have with
// the call only; false where there is no such call.
func (e *requestEncoder) result(dst []byte, part *dialect.Part) ([]byte, bool) {
	name := e.called[part.ID]
	if name == "" {
		name = part.Name
	}
	if name == "" {
		return dst, false
	}
	dst = append(dialect.Member(dst, "functionResponse"), '{')
	dst = dialect.TextMember(dst, "id", part.ID)
	dst = dialect.String(dialect.Member(dst, "name"), name)
	dst = appendOutput(dialect.Member(dst, "response"), part)
	begun := false
	for i := range part.Result {
		p := &part.Result[i]
		if p.Kind == dialect.PartText {
			continue
		}
		if p.Source.Kind != dialect.SourceInline {
			e.gaps.Part(p, "send its content in base64")
			continue
		}
		if !begun {
			dst = append(dialect.Member(dst, "parts"), '[')
			begun = true
		}
		dst = e.part(dst, p)
	}
	if begun {
		dst = append(dst, ']')
	}
	return append(dst, '}'), true
}

// appendOutput appends what a tool gave: as it is where that is a JSON object, else as an output or an error,
// which are the names that Google's models know.
func appendOutput(dst []byte, part *dialect.Part) []byte {
	var text dialect.Inside
	own := false // the text is ours, not a piece of the body
	for i := range part.Result {
		switch p := &part.Result[i]; {
		case p.Kind != dialect.PartText:
		case text == nil:
			text = p.Text
		case own:
			text = append(text, p.Text...)
		default:
			text, own = slices.Concat(text, p.Text), true
		}
	}
	if part.Failed {
		return append(text.Quote(append(dst, `{"error":`...)), '}')
	}
	if len(text) > 0 && text[0] == '{' {
		object := text.Unescape(nil)
		if name, _ := lone(object); !isOutput(name) && dialect.Check(object) == nil {
			return append(dst, object...)
		}
	}
	return append(text.Quote(append(dst, `{"output":`...)), '}')
}
