package responses

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// tools reads the client's functions. Tools that a provider runs itself exist in this dialect only.
func (d *requestDecoder) tools(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("tools", "an array")
	}
	i := -1
	for raw := range dialect.Elements(value) {
		i++
		place := "tools." + strconv.Itoa(i)
		kind, tool := decodeTool(raw)
		switch {
		case kind == "":
			return dialect.Missing(place+".type", "say what kind of tool it is")
		case kind != "function":
			d.unmet(place + ".type")
			continue
		case tool.Name == "":
			return dialect.Missing(place+".name", "name the tool")
		}
		d.r.Tools = append(d.r.Tools, tool)
	}
	return nil
}

func decodeTool(raw []byte) (kind string, t dialect.Tool) {
	for name, value := range dialect.Members(raw) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "name":
			t.Name, _ = dialect.Text(value)
		case "description":
			t.Description = dialect.InsideOf(value)
		case "parameters":
			if string(value) != "null" {
				t.Schema = value
			}
		case "strict":
			t.Strict = dialect.FlagOf(value)
		}
	}
	return kind, t
}

func (d *requestDecoder) toolChoice(value []byte) *dialect.Error {
	c := &d.r.Choice
	switch string(value) {
	case `"auto"`:
		c.Mode = dialect.ToolsAuto
		return nil
	case `"none"`:
		c.Mode = dialect.ToolsNone
		return nil
	case `"required"`:
		c.Mode = dialect.ToolsAny
		return nil
	}
	if value[0] != '{' {
		return dialect.Mistyped("tool_choice", `"auto", "none", "required" or an object`)
	}
	kind, tool := decodeTool(value)
	if kind != "function" || tool.Name == "" {
		d.unmet("tool_choice")
		return nil
	}
	c.Mode, c.Name = dialect.ToolsNamed, tool.Name
	return nil
}
