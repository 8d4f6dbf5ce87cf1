package openai

import (
	"encoding/json"
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// message holds the members of a message, as they are written; nil where they are missing or null.
type message struct {
	role, name, content, refusal, calls, callID []byte
	reasoning, details, annotations             []byte
	function, audio                             []byte
}

func readMessage(raw []byte) (m message) {
	for name, value := range dialect.Members(raw) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "role":
			m.role = value
		case "name":
			m.name = value
		case "content":
			m.content = value
		case "refusal":
			m.refusal = value
		case "tool_calls":
			m.calls = value
		case "tool_call_id":
			m.callID = value
		case "reasoning_content", "reasoning":
			if m.reasoning == nil || len(value) > len(m.reasoning) {
				m.reasoning = value
			}
		case "reasoning_details":
			m.details = value
		case "annotations":
			m.annotations = value
		case "function_call":
			m.function = value
		case "audio":
			m.audio = value
		}
	}
	return m
}

func (d *requestDecoder) messages(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("messages", "an array")
	}
	place := dialect.Place{Root: "messages", Turn: -1}
	for raw := range dialect.Elements(value) {
		place.Turn++
		if raw[0] != '{' {
			return dialect.Mistyped(place.String(), "an object")
		}
		m := readMessage(raw)
		if m.name != nil {
			d.unmet(place.Member("name"))
		}
		if err := d.message(place, m); err != nil {
			return err
		}
	}
	return nil
}

func (d *requestDecoder) message(place dialect.Place, m message) (err *dialect.Error) {
	r := d.r
	switch role, _ := dialect.Text(m.role); role {
	case "system", "developer":
		r.System, err = d.content(r.System, place, m.content)
	case "user":
		turn := dialect.Turn{Role: dialect.RoleUser}
		turn.Parts, err = d.content(nil, place, m.content)
		r.Turns = append(r.Turns, turn)
	case "assistant":
		turn := dialect.Turn{Role: dialect.RoleAssistant}
		turn.Parts, err = d.assistant(place, m)
		r.Turns = append(r.Turns, turn)
	case "tool":
		err = d.toolResult(place, m)
	case "function":
		d.unmet(place.String())
	case "":
		err = dialect.Missing(place.Member("role"), "say who speaks")
	default:
		err = dialect.Mistyped(place.Member("role"), "one of system, developer, user, assistant and tool")
	}
	return err
}

// toolResult makes one turn of all results that follow each other, as other dialects want it.
func (d *requestDecoder) toolResult(place dialect.Place, m message) (err *dialect.Error) {
	part := dialect.Part{Kind: dialect.PartToolResult, Place: place}
	if part.ID, _ = dialect.Text(m.callID); part.ID == "" {
		return dialect.Missing(place.Member("tool_call_id"), "say which call this is the result of")
	}
	if part.Result, err = d.content(nil, place, m.content); err != nil {
		return err
	}
	turns := d.r.Turns
	if n := len(turns) - 1; n >= 0 && turns[n].Role == dialect.RoleUser && onlyResults(turns[n].Parts) {
		turns[n].Parts = append(turns[n].Parts, part)
		return nil
	}
	d.r.Turns = append(turns, dialect.Turn{Role: dialect.RoleUser, Parts: []dialect.Part{part}})
	return nil
}

func onlyResults(parts []dialect.Part) bool {
	return len(parts) > 0 && !slices.ContainsFunc(parts, func(p dialect.Part) bool { return p.Kind != dialect.PartToolResult })
}

// assistant reads what the model said earlier, in the order in which it says it.
func (d *requestDecoder) assistant(place dialect.Place, m message) ([]dialect.Part, *dialect.Error) {
	if m.function != nil {
		d.unmet(place.Member("function_call"))
	}
	if m.audio != nil {
		d.unmet(place.Member("audio"))
	}
	parts := decodeReasoning(nil, m)
	parts, err := d.content(parts, place, m.content)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if parts[i].Place.Root == "" {
			parts[i].Place = place
		}
	}
	if in := dialect.InsideOf(m.refusal); len(in) > 0 {
		parts = append(parts, dialect.Part{Kind: dialect.PartRefusal, Place: place, Text: in})
	}
	at := place
	at.List, at.Index = "tool_calls", -1
	for call := range dialect.Elements(m.calls) {
		at.Index++
		part, ok := decodeCall(call)
		if !ok {
			d.unmet(at.String())
			continue
		}
		part.Place = at
		if part.ID == "" {
			return nil, dialect.Missing(at.Member("id"), "its result names it")
		}
		if part.Name == "" {
			return nil, dialect.Missing(at.Member("function.name"), "name the tool that was called")
		}
		if part.Arguments[0] != '{' || !json.Valid(part.Arguments) {
			return nil, dialect.Mistyped(at.Member("function.arguments"), "a JSON object, as a string")
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// decodeCall reads a tool call; false where it is of a kind that has no function.
func decodeCall(call []byte) (dialect.Part, bool) {
	part := dialect.Part{Kind: dialect.PartToolUse, Arguments: dialect.Raw("{}")}
	isFunction := false
	for name, value := range dialect.Members(call) {
		switch string(name) {
		case "id":
			part.ID, _ = dialect.Text(value)
		case "extra_content":
			if part.Signature = thoughtSignature(value); part.Signature != nil {
				part.Signer = dialect.Gemini
			}
		case "function":
			isFunction = true
			for name, value := range dialect.Members(value) {
				switch string(name) {
				case "name":
					part.Name, _ = dialect.Text(value)
				case "arguments":
					if in := dialect.InsideOf(value); !in.Blank() {
						part.Arguments = trim(in.Unescape(make([]byte, 0, len(in))))
					}
				}
			}
		}
	}
	return part, isFunction
}

// trim takes white space off a JSON value.
func trim(value []byte) []byte {
	for len(value) > 1 && value[0] <= ' ' {
		value = value[1:]
	}
	for len(value) > 1 && value[len(value)-1] <= ' ' {
		value = value[:len(value)-1]
	}
	return value
}

// content reads a message's content: nothing, a string, or an array of parts.
func (d *requestDecoder) content(parts []dialect.Part, place dialect.Place, value []byte) ([]dialect.Part, *dialect.Error) {
	switch {
	case value == nil:
		return parts, nil
	case value[0] == '"':
		if len(value) == len(`""`) {
			return parts, nil
		}
		return append(parts, dialect.Part{Kind: dialect.PartText, Place: place, Text: dialect.InsideOf(value)}), nil
	case value[0] != '[':
		return nil, dialect.Mistyped(place.Member("content"), "a string or an array of parts")
	}
	place.List, place.Index = "content", -1
	for raw := range dialect.Elements(value) {
		place.Index++
		part := decodePart(raw)
		if part.Place = place; part.Kind == 0 {
			d.unmet(place.String())
			continue
		}
		parts = append(parts, part)
	}
	return parts, nil
}
