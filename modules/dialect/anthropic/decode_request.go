package anthropic

import (
	"slices"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// harmless are parameters that may be left out on the way to another dialect, since a client cannot see from
// its answer whether they were obeyed: which queue the provider takes, what it says of its cache, which parts
// of a long conversation it may forget to save tokens.
var harmless = []string{"service_tier", "diagnostics", "context_management"}

// harmlessOfTool are the same of a tool's definition.
var harmlessOfTool = []string{"eager_input_streaming"}

// DecodeRequest reads a message's request into the neutral form. Check must have passed the body.
func DecodeRequest(body []byte) (*dialect.Request, *dialect.Error) {
	d := requestDecoder{r: &dialect.Request{Names: &names}}
	for name, value := range dialect.Members(body) {
		if string(value) == "null" {
			continue
		}
		if err := d.member(name, value); err != nil {
			return nil, err
		}
	}
	d.r.IncludeUsage = d.r.Stream // every stream tells it
	return d.r, nil
}

type requestDecoder struct{ r *dialect.Request }

func (d *requestDecoder) member(name, value []byte) *dialect.Error {
	r := d.r
	switch string(name) {
	case "model":
		return readText(&r.Model, "model", value)
	case "messages":
		return d.messages(value)
	case "system":
		return d.system(value)
	case "max_tokens":
		return readNumber(&r.MaxTokens, "max_tokens", value)
	case "stop_sequences":
		return d.stop(value)
	case "temperature":
		return readNumber(&r.Sampling.Temperature, "temperature", value)
	case "top_p":
		return readNumber(&r.Sampling.TopP, "top_p", value)
	case "top_k":
		return readNumber(&r.Sampling.TopK, "top_k", value)
	case "stream":
		f := dialect.FlagOf(value)
		if f == dialect.Unset {
			return dialect.Mistyped("stream", "true or false")
		}
		r.Stream = f == dialect.On
	case "tools":
		return d.tools(value)
	case "tool_choice":
		return d.toolChoice(value)
	case "thinking":
		return d.thinking(value)
	case "output_config":
		return d.output(value)
	case "cache_control":
		r.Cache = cacheOf(value)
	case "metadata":
		for name, value := range dialect.Members(value) {
			if string(name) == "user_id" {
				r.User, _ = dialect.Text(value)
			}
		}
	default:
		if !idle(name, value) {
			d.unmet(string(name))
		}
	}
	return nil
}

// idle tells whether a parameter that the neutral form has no place for may be left out: it is harmless, or
// says what is so without it.
func idle(name, value []byte) bool {
	switch string(value) {
	case "[]", "{}", "null", "false":
		return true
	}
	switch string(name) {
	case "speed":
		return string(value) == `"standard"`
	case "allowed_callers":
		return string(value) == `["direct"]`
	}
	return slices.Contains(harmless, string(name))
}

func (d *requestDecoder) unmet(field string) { d.r.Unmet = append(d.r.Unmet, field) }

func (d *requestDecoder) system(value []byte) *dialect.Error {
	place := dialect.Place{Root: "system"}
	switch value[0] {
	case '"':
		d.r.System = append(d.r.System, dialect.Part{Kind: dialect.PartText, Place: place, Text: dialect.InsideOf(value)})
		return nil
	case '[':
	default:
		return dialect.Mistyped("system", "a string or an array of texts")
	}
	for block := range dialect.Elements(value) {
		part, err := decodeBlock(block, place)
		if err != nil {
			return err
		}
		if part.Kind != dialect.PartText {
			return dialect.Mistyped(place.Member("type"), "text")
		}
		d.r.System = append(d.r.System, part)
		place.Turn++
	}
	return nil
}

func (d *requestDecoder) stop(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("stop_sequences", "an array of strings")
	}
	for element := range dialect.Elements(value) {
		text, ok := dialect.Text(element)
		if !ok {
			return dialect.Mistyped("stop_sequences", "an array of strings")
		}
		d.r.Stop = append(d.r.Stop, text)
	}
	return nil
}

func (d *requestDecoder) tools(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("tools", "an array")
	}
	i := -1
	for raw := range dialect.Elements(value) {
		i++
		place := "tools." + strconv.Itoa(i)
		var t dialect.Tool
		var unmet []string
		kind := "custom"
		for name, value := range dialect.Members(raw) {
			switch string(name) {
			case "type":
				if string(value) != "null" {
					kind, _ = dialect.Text(value)
				}
			case "name":
				t.Name, _ = dialect.Text(value)
			case "description":
				t.Description = dialect.InsideOf(value)
			case "input_schema":
				t.Schema = value
			case "strict":
				t.Strict = dialect.FlagOf(value)
			case "cache_control":
				t.Cache = cacheOf(value)
			default:
				if !idle(name, value) && !slices.Contains(harmlessOfTool, string(name)) {
					unmet = append(unmet, place+"."+string(name))
				}
			}
		}
		if kind != "custom" { // a tool that Anthropic defines, or runs itself
			d.unmet(place)
			continue
		}
		if t.Name == "" {
			return dialect.Missing(place+".name", "name the tool")
		}
		d.r.Unmet = append(d.r.Unmet, unmet...)
		d.r.Tools = append(d.r.Tools, t)
	}
	return nil
}

func (d *requestDecoder) toolChoice(value []byte) *dialect.Error {
	c := &d.r.Choice
	kind := ""
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "name":
			c.Name, _ = dialect.Text(value)
		case "disable_parallel_tool_use":
			switch dialect.FlagOf(value) {
			case dialect.On:
				c.Parallel = dialect.Off
			case dialect.Off:
				c.Parallel = dialect.On
			}
		}
	}
	switch kind {
	case "auto":
		c.Mode = dialect.ToolsAuto
	case "any":
		c.Mode = dialect.ToolsAny
	case "none":
		c.Mode = dialect.ToolsNone
	case "tool":
		c.Mode = dialect.ToolsNamed
		if c.Name == "" {
			return dialect.Missing("tool_choice.name", "name the tool")
		}
	default:
		return dialect.Mistyped("tool_choice.type", "one of auto, any, tool and none")
	}
	return nil
}

func (d *requestDecoder) thinking(value []byte) *dialect.Error {
	r := &d.r.Reasoning
	kind := ""
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "budget_tokens":
			if err := readNumber(&r.Budget, "thinking.budget_tokens", value); err != nil {
				return err
			}
		case "display":
			r.Display, _ = dialect.Text(value)
		}
	}
	switch kind {
	case "enabled":
		r.Mode = dialect.ReasoningOn
	case "adaptive":
		r.Mode = dialect.ReasoningAdaptive
	case "disabled":
		r.Mode = dialect.ReasoningOff
	default:
		d.unmet("thinking")
	}
	return nil
}

func (d *requestDecoder) output(value []byte) *dialect.Error {
	for name, value := range dialect.Members(value) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "effort":
			if err := readText(&d.r.Reasoning.Effort, "output_config.effort", value); err != nil {
				return err
			}
		case "format":
			for name, value := range dialect.Members(value) {
				if string(name) == "schema" {
					d.r.Format = dialect.Format{Kind: dialect.FormatSchema, Schema: value}
				}
			}
			if d.r.Format.Schema.Null() {
				return dialect.Missing("output_config.format.schema", "say what the answer must be")
			}
		default:
			d.unmet("output_config." + string(name))
		}
	}
	return nil
}

// cacheOf reads the value of cache_control.
func cacheOf(value []byte) dialect.Cache {
	if value[0] != '{' {
		return ""
	}
	for name, value := range dialect.Members(value) {
		if string(name) == "ttl" {
			if ttl, ok := dialect.Text(value); ok {
				return dialect.Cache(ttl)
			}
		}
	}
	return dialect.CacheDefault
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
