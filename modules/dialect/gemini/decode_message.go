package gemini

import "github.com/caddy-llm/caddy-llm/modules/dialect"

func (d *requestDecoder) contents(value []byte) *dialect.Error {
	if !isList(value) {
		return dialect.Mistyped("contents", "an array")
	}
	place := dialect.Place{Root: "contents", Turn: -1}
	for raw := range dialect.Elements(list(value)) {
		place.Turn++
		if raw[0] != '{' {
			return dialect.Mistyped(place.String(), "an object")
		}
		turn, role := dialect.Turn{Role: dialect.RoleUser}, ""
		var parts []byte
		for name, value := range fields(raw) {
			switch string(name) {
			case "role":
				role, _ = dialect.Text(value)
			case "parts":
				parts = value
			}
		}
		switch role {
		case "", "user", "function", "tool":
		case "model":
			turn.Role = dialect.RoleAssistant
		default:
			return dialect.Mistyped(place.Member("role"), "user or model")
		}
		if !isList(parts) {
			return dialect.Mistyped(place.Member("parts"), "an array of parts")
		}
		at := place
		at.List, at.Index = "parts", -1
		for raw := range dialect.Elements(list(parts)) {
			at.Index++
			part, err := d.part(raw, at)
			if err != nil {
				return err
			}
			turn.Parts = append(turn.Parts, part)
		}
		d.r.Turns = append(d.r.Turns, turn)
	}
	return nil
}

// part reads a part of a request.
func (d *requestDecoder) part(raw []byte, place dialect.Place) (dialect.Part, *dialect.Error) {
	if raw[0] != '{' {
		return dialect.Part{}, dialect.Mistyped(place.String(), "an object")
	}
	p := readPart(raw)
	part := p.decode()
	part.Place = place
	switch part.Kind {
	case dialect.PartToolUse:
		if part.Name == "" {
			return part, dialect.Missing(place.Member("functionCall.name"), "name the tool that was called")
		}
		if part.Arguments[0] != '{' {
			return part, dialect.Mistyped(place.Member("functionCall.args"), "an object")
		}
		part.ID = d.calls.add(part.ID, part.Name)
	case dialect.PartToolResult:
		if part.Name == "" {
			return part, dialect.Missing(place.Member("functionResponse.name"), "name the tool that was called")
		}
		if p.response.value == nil || p.response.value[0] != '{' {
			return part, dialect.Mistyped(place.Member("functionResponse.response"), "an object")
		}
		part.ID = d.calls.answer(part.ID, part.Name)
		for i := range part.Result {
			part.Result[i].Place = place
		}
	}
	return part, nil
}
