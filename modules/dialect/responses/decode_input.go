package responses

import (
	"encoding/json"
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// item holds the members of an item of the input, as they are written; nil where they are missing or null.
type item struct {
	kind, role, content, id    []byte
	callID, name, args, output []byte
	summary, encrypted         []byte
}

func readItem(raw []byte) (it item) {
	for name, value := range dialect.Members(raw) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "type":
			it.kind = value
		case "role":
			it.role = value
		case "content":
			it.content = value
		case "id":
			it.id = value
		case "call_id":
			it.callID = value
		case "name":
			it.name = value
		case "arguments":
			it.args = value
		case "output":
			it.output = value
		case "summary":
			it.summary = value
		case "encrypted_content":
			it.encrypted = value
		}
	}
	return it
}

// input reads what is to be answered: a text, or the items of the conversation.
func (d *requestDecoder) input(value []byte) *dialect.Error {
	if in := dialect.InsideOf(value); in != nil {
		part := dialect.Part{Kind: dialect.PartText, Place: dialect.Place{Root: "input"}, Text: in}
		d.say(dialect.RoleUser, part)
		return nil
	}
	if value[0] != '[' {
		return dialect.Mistyped("input", "a string or an array of items")
	}
	place := dialect.Place{Root: "input", Turn: -1}
	for raw := range dialect.Elements(value) {
		place.Turn++
		if raw[0] != '{' {
			return dialect.Mistyped(place.String(), "an object")
		}
		if err := d.item(place, readItem(raw)); err != nil {
			return err
		}
	}
	return nil
}

func (d *requestDecoder) item(place dialect.Place, it item) *dialect.Error {
	kind, _ := dialect.Text(it.kind)
	if kind == "" && it.role == nil && it.id != nil {
		kind = "item_reference"
	}
	switch kind {
	case "", "message":
		return d.message(place, it)
	case "function_call":
		return d.call(place, it)
	case "function_call_output":
		return d.result(place, it)
	case "reasoning":
		d.thought(place, it)
	case "item_reference":
		return stored(place.String())
	default:
		d.unmet(place.String())
	}
	return nil
}

// say adds parts to what a side says. Items that follow each other are one turn.
func (d *requestDecoder) say(role dialect.Role, parts ...dialect.Part) {
	turns := d.r.Turns
	if n := len(turns) - 1; n >= 0 && turns[n].Role == role && role == dialect.RoleAssistant {
		turns[n].Parts = append(turns[n].Parts, parts...)
		return
	}
	d.r.Turns = append(turns, dialect.Turn{Role: role, Parts: parts})
}

func (d *requestDecoder) message(place dialect.Place, it item) *dialect.Error {
	role, _ := dialect.Text(it.role)
	switch role {
	case "system", "developer", "user", "assistant":
	case "":
		return dialect.Missing(place.Member("role"), "say who speaks")
	default:
		return dialect.Mistyped(place.Member("role"), "one of user, assistant, system and developer")
	}
	parts, err := d.content(place, "content", it.content)
	if err != nil {
		return err
	}
	switch role {
	case "user":
		d.say(dialect.RoleUser, parts...)
	case "assistant":
		d.say(dialect.RoleAssistant, parts...)
	default:
		d.r.System = append(d.r.System, parts...)
	}
	return nil
}

// call reads what the model called.
func (d *requestDecoder) call(place dialect.Place, it item) *dialect.Error {
	part := dialect.Part{Kind: dialect.PartToolUse, Place: place, Arguments: dialect.Raw("{}")}
	if part.ID, _ = dialect.Text(it.callID); part.ID == "" {
		return dialect.Missing(place.Member("call_id"), "its output names it")
	}
	if part.Name, _ = dialect.Text(it.name); part.Name == "" {
		return dialect.Missing(place.Member("name"), "name the tool that was called")
	}
	if in := dialect.InsideOf(it.args); !in.Blank() {
		part.Arguments = in.Unescape(make([]byte, 0, len(in)))
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(part.Arguments, &object) != nil || object == nil {
		return dialect.Mistyped(place.Member("arguments"), "a JSON object, as a string")
	}
	d.signCall(&part)
	d.say(dialect.RoleAssistant, part)
	return nil
}

// result reads what a call gave. Results that follow each other are one turn, as other dialects want it.
func (d *requestDecoder) result(place dialect.Place, it item) (err *dialect.Error) {
	part := dialect.Part{Kind: dialect.PartToolResult, Place: place}
	if part.ID, _ = dialect.Text(it.callID); part.ID == "" {
		return dialect.Missing(place.Member("call_id"), "say which call this is the output of")
	}
	if part.Result, err = d.content(place, "output", it.output); err != nil {
		return err
	}
	turns := d.r.Turns
	if n := len(turns) - 1; n >= 0 && turns[n].Role == dialect.RoleUser && onlyResults(turns[n].Parts) {
		turns[n].Parts = append(turns[n].Parts, part)
		return nil
	}
	d.say(dialect.RoleUser, part)
	return nil
}

// onlyResults says whether a user's turn is one of results: such a turn holds nothing else.
func onlyResults(parts []dialect.Part) bool {
	return len(parts) > 0 && parts[0].Kind == dialect.PartToolResult
}

// thought reads what the model thought, by its summary. What it thought literally is the provider's who told it.
func (d *requestDecoder) thought(place dialect.Place, it item) {
	part := dialect.Part{Kind: dialect.PartReasoning, Place: place}
	texts := 0
	for summary := range dialect.Elements(it.summary) {
		for name, value := range dialect.Members(summary) {
			if in := dialect.InsideOf(value); string(name) == "text" && in != nil {
				switch texts++; texts {
				case 1:
					part.Text = in
				case 2: // the first one is the client's body
					part.Text = slices.Concat(part.Text, dialect.Inside(`\n\n`), in)
				default:
					part.Text = append(append(part.Text, `\n\n`...), in...)
				}
			}
		}
	}
	if unseal(&part, dialect.InsideOf(it.encrypted)) == sealCall {
		d.seal = part
		return
	}
	if part.Text != nil || part.Signature != nil || part.Redacted != nil {
		d.say(dialect.RoleAssistant, part)
	}
}
