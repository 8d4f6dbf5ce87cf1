package demo

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// tool is a function that the demo decided to call.
type tool struct {
	name       string
	parameters gjson.Result // a JSON Schema; absent where the function takes nothing
}

// chooseTool decides whether the answer is a tool call: always where the request insists, else once after each
// word of the user's, so that a client's loop of calls and results comes to an end. Nil means text.
func (req *chatRequest) chooseTool() (*tool, error) {
	if !given(req.tools) {
		if given(req.toolChoice) && req.toolChoice.Str != "none" && req.toolChoice.Str != "auto" {
			return nil, invalid("tool_choice", "tool_choice needs tools to choose from")
		}
		return nil, nil
	}
	if !req.tools.IsArray() {
		return nil, invalid("tools", "tools must be an array")
	}
	tools, err := readTools(req.tools)
	if err != nil {
		return nil, err
	}
	req.promptTokens += countTokens(req.tools.Raw)
	if len(tools) == 0 {
		return nil, invalid("tools", "tools must hold at least one tool")
	}

	insists, wanted := false, ""
	switch choice := req.toolChoice; {
	case !given(choice) || choice.Str == "auto":
	case choice.Str == "none":
		return nil, nil
	case choice.Str == "required":
		insists = true
	case choice.IsObject() && choice.Get("type").Str == "function":
		insists, wanted = true, choice.Get("function.name").Str
	default:
		return nil, invalid("tool_choice", "tool_choice must be none, auto, required or name a function")
	}
	if !insists {
		if req.lastRole != "user" {
			return nil, nil
		}
		return &tools[0], nil
	}
	if wanted == "" && !req.toolChoice.IsObject() {
		return &tools[0], nil
	}
	for i := range tools {
		if tools[i].name == wanted {
			return &tools[i], nil
		}
	}
	return nil, invalid("tool_choice", "tool_choice names the function %q, which is not among the tools", wanted)
}

func readTools(list gjson.Result) ([]tool, error) {
	var tools []tool
	for i, t := range list.Array() {
		if kind := t.Get("type").Str; kind != "function" {
			return nil, invalid(fmt.Sprintf("tools[%d].type", i), "the demo provider knows tools of type function only, not %q", kind)
		}
		function := t.Get("function")
		name := function.Get("name").Str
		if name == "" {
			return nil, invalid(fmt.Sprintf("tools[%d].function.name", i), "a function needs a name")
		}
		tools = append(tools, tool{name, function.Get("parameters")})
	}
	return tools, nil
}
