package gemini

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// harmless are parameters that may be left out on the way to another dialect, since a client cannot see from its
// answer whether they were obeyed, or since they set a filter that Google alone has.
var harmless = []string{"safetySettings", "serviceTier"}

// DecodeRequest reads a request of generateContent into the neutral form. Check must have passed the body. Its
// model and whether it streams are not in it, but for a model that the client names there too.
func DecodeRequest(body []byte) (*dialect.Request, *dialect.Error) {
	d := requestDecoder{r: &dialect.Request{Names: &names}}
	for name, value := range fields(body) {
		if err := d.member(name, value); err != nil {
			return nil, err
		}
	}
	return d.r, nil
}

type requestDecoder struct {
	r     *dialect.Request
	calls openCalls
}

func (d *requestDecoder) member(name, value []byte) *dialect.Error {
	r := d.r
	switch string(name) {
	case "model":
		return readText(&r.Model, "model", value)
	case "contents":
		return d.contents(value)
	case "systemInstruction":
		return d.system(value)
	case "tools":
		return d.tools(value)
	case "toolConfig":
		return d.toolConfig(value)
	case "generationConfig":
		return d.config(value)
	case "labels":
		r.Metadata = value
	default:
		if !idle(name, value) {
			d.unmet(string(name))
		}
	}
	return nil
}

// idle tells whether a parameter that the neutral form has no place for may be left out: it is harmless, or says
// what is so without it.
func idle(name, value []byte) bool {
	switch string(value) {
	case "[]", "{}", "false", `""`:
		return true
	}
	switch string(name) {
	case "responseModalities":
		return string(value) == `["TEXT"]`
	case "candidateCount":
		n, ok := dialect.Raw(value).Number()
		return ok && n <= 1
	}
	return slices.Contains(harmless, string(name))
}

func (d *requestDecoder) unmet(field string) { d.r.Unmet = append(d.r.Unmet, field) }

func (d *requestDecoder) system(value []byte) *dialect.Error {
	if in := dialect.InsideOf(value); in != nil {
		d.r.System = []dialect.Part{{Kind: dialect.PartText, Place: dialect.Place{Root: "systemInstruction"}, Text: in}}
		return nil
	}
	if value[0] != '{' {
		return dialect.Mistyped("systemInstruction", "an object with parts")
	}
	place := dialect.Place{Root: "systemInstruction.parts"}
	for name, value := range fields(value) {
		if string(name) != "parts" {
			continue
		}
		for raw := range dialect.Elements(list(value)) {
			p := readPart(raw)
			if p.text == nil {
				return dialect.Mistyped(place.String(), "a text")
			}
			d.r.System = append(d.r.System, dialect.Part{Kind: dialect.PartText, Place: place, Text: p.text})
			place.Turn++
		}
	}
	return nil
}

func (d *requestDecoder) tools(value []byte) *dialect.Error {
	if !isList(value) {
		return dialect.Mistyped("tools", "an array")
	}
	place := dialect.Place{Root: "tools", List: "functionDeclarations", Turn: -1}
	for tool := range dialect.Elements(list(value)) {
		place.Turn++
		for name, value := range fields(tool) {
			if string(name) != "functionDeclarations" { // a tool that Google runs itself
				d.unmet(dialect.Place{Root: "tools", Turn: place.Turn}.Member(string(name)))
				continue
			}
			place.Index = -1
			for raw := range dialect.Elements(list(value)) {
				place.Index++
				if err := d.function(raw, place); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *requestDecoder) function(raw []byte, place dialect.Place) *dialect.Error {
	var t dialect.Tool
	for name, value := range fields(raw) {
		switch string(name) {
		case "name":
			t.Name, _ = dialect.Text(value)
		case "description":
			t.Description = dialect.InsideOf(value)
		case "parameters":
			t.Schema = schemaOf(value)
		case "parametersJsonSchema":
			t.Schema = value
		case "response", "responseJsonSchema": // what the result will be, which other dialects are not told
		default:
			if !idle(name, value) {
				d.unmet(place.Member(string(name)))
			}
		}
	}
	if t.Name == "" {
		return dialect.Missing(place.Member("name"), "name the tool")
	}
	d.r.Tools = append(d.r.Tools, t)
	return nil
}

func (d *requestDecoder) toolConfig(value []byte) *dialect.Error {
	for name, value := range fields(value) {
		if string(name) != "functionCallingConfig" {
			if !idle(name, value) {
				d.unmet("toolConfig." + string(name))
			}
			continue
		}
		if err := d.calling(value); err != nil {
			return err
		}
	}
	return nil
}

// calling reads how tools may be called. Of several names that are allowed, other dialects know nothing.
func (d *requestDecoder) calling(value []byte) *dialect.Error {
	mode := ""
	var allowed []string
	for name, value := range fields(value) {
		switch string(name) {
		case "mode":
			mode, _ = dialect.Text(value)
		case "allowedFunctionNames":
			for element := range dialect.Elements(value) {
				text, _ := dialect.Text(element)
				allowed = append(allowed, text)
			}
		default:
			if !idle(name, value) {
				d.unmet("toolConfig.functionCallingConfig." + string(name))
			}
		}
	}
	c := &d.r.Choice
	switch mode {
	case "", "MODE_UNSPECIFIED":
	case "AUTO", "VALIDATED":
		c.Mode = dialect.ToolsAuto
	case "NONE":
		c.Mode = dialect.ToolsNone
	case "ANY":
		c.Mode = dialect.ToolsAny
	default:
		return dialect.Mistyped("toolConfig.functionCallingConfig.mode", "one of AUTO, ANY, NONE and VALIDATED")
	}
	switch {
	case len(allowed) == 0:
	case len(allowed) == 1 && c.Mode == dialect.ToolsAny && allowed[0] != "":
		c.Mode, c.Name = dialect.ToolsNamed, allowed[0]
	default:
		d.unmet("toolConfig.functionCallingConfig.allowedFunctionNames")
	}
	return nil
}

func readText(dst *string, field string, value []byte) *dialect.Error {
	text, ok := dialect.Text(value)
	if !ok {
		return dialect.Mistyped(field, "a string")
	}
	*dst = text
	return nil
}

func readNumber(dst *dialect.Raw, field string, value []byte) *dialect.Error {
	if _, ok := dialect.Raw(value).Number(); !ok {
		return dialect.Mistyped(field, "a number")
	}
	*dst = value
	return nil
}
