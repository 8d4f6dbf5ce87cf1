package openai

import (
	"slices"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// harmless are parameters that may be left out on the way to another dialect, since a client cannot see from
// its answer whether they were obeyed: where the provider keeps its prompt cache, which of its queues it
// takes, how it pads a stream.
var harmless = []string{"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier"}

// DecodeRequest reads a chat completion's request into the neutral form. Check must have passed the body.
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
	return d.r, nil
}

type requestDecoder struct {
	r *dialect.Request
	// completion says that the bound on tokens came from max_completion_tokens, which counts before max_tokens.
	completion bool
}

func (d *requestDecoder) member(name, value []byte) *dialect.Error {
	r := d.r
	switch string(name) {
	case "model":
		return readText(&r.Model, "model", value)
	case "messages":
		return d.messages(value)
	case "tools":
		return d.tools(value)
	case "tool_choice":
		return d.toolChoice(value)
	case "parallel_tool_calls":
		return readFlag(&r.Choice.Parallel, "parallel_tool_calls", value)
	case "response_format":
		return d.format(value)
	case "stop":
		return d.stop(value)
	case "max_completion_tokens":
		d.completion = true
		return readNumber(&r.MaxTokens, "max_completion_tokens", value)
	case "max_tokens":
		if d.completion {
			return nil
		}
		return readNumber(&r.MaxTokens, "max_tokens", value)
	case "stream":
		var f dialect.Flag
		err := readFlag(&f, "stream", value)
		r.Stream = f == dialect.On
		return err
	case "stream_options":
		for option, on := range dialect.Members(value) {
			if string(option) == "include_usage" {
				r.IncludeUsage = string(on) == "true"
			}
		}
	case "reasoning_effort":
		return d.effort("reasoning_effort", value)
	case "reasoning":
		return d.reasoning(value)
	case "user", "safety_identifier":
		if r.User != "" {
			return nil
		}
		return readText(&r.User, string(name), value)
	case "metadata":
		r.Metadata = value
	default:
		return d.sampling(name, value)
	}
	return nil
}

func (d *requestDecoder) sampling(name, value []byte) *dialect.Error {
	s := &d.r.Sampling
	var number *dialect.Raw
	switch string(name) {
	case "temperature":
		number = &s.Temperature
	case "top_p":
		number = &s.TopP
	case "top_k":
		number = &s.TopK
	case "seed":
		number = &s.Seed
	case "frequency_penalty":
		number = &s.FrequencyPenalty
	case "presence_penalty":
		number = &s.PresencePenalty
	case "n":
		number = &s.Choices
	case "top_logprobs":
		number = &s.TopLogprobs
	case "logprobs":
		var f dialect.Flag
		err := readFlag(&f, "logprobs", value)
		s.Logprobs = f == dialect.On
		return err
	default:
		if !idle(name, value) {
			d.unmet(string(name))
		}
		return nil
	}
	return readNumber(number, string(name), value)
}

// idle tells whether a parameter that the neutral form has no place for may be left out: it is harmless, or
// says what is so without it.
func idle(name, value []byte) bool {
	switch string(value) {
	case "[]", "{}", `""`:
		return true
	}
	switch string(name) {
	case "store":
		return string(value) == "false"
	case "verbosity":
		return string(value) == `"medium"`
	case "function_call":
		return string(value) == `"auto"` || string(value) == `"none"`
	case "modalities":
		for modality := range dialect.Elements(value) {
			if string(modality) != `"text"` {
				return false
			}
		}
		return true
	}
	return slices.Contains(harmless, string(name))
}

func (d *requestDecoder) unmet(field string) { d.r.Unmet = append(d.r.Unmet, field) }

func (d *requestDecoder) stop(value []byte) *dialect.Error {
	if text, ok := dialect.Text(value); ok {
		d.r.Stop = []string{text}
		return nil
	}
	if value[0] != '[' {
		return dialect.Mistyped("stop", "a string or an array of strings")
	}
	for element := range dialect.Elements(value) {
		text, ok := dialect.Text(element)
		if !ok {
			return dialect.Mistyped("stop", "a string or an array of strings")
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
	for tool := range dialect.Elements(value) {
		i++
		place := "tools." + strconv.Itoa(i)
		var function []byte
		for name, value := range dialect.Members(tool) {
			if string(name) == "function" {
				function = value
			}
		}
		if function == nil {
			d.unmet(place)
			continue
		}
		t, err := decodeTool(place, function)
		if err != nil {
			return err
		}
		t.Cache = cacheOf(tool)
		d.r.Tools = append(d.r.Tools, t)
	}
	return nil
}

func decodeTool(place string, function []byte) (t dialect.Tool, err *dialect.Error) {
	for name, value := range dialect.Members(function) {
		switch string(name) {
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
	if t.Name == "" {
		return t, dialect.Missing(place+".function.name", "name the tool")
	}
	return t, nil
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
	for name, function := range dialect.Members(value) {
		if string(name) != "function" {
			continue
		}
		for name, value := range dialect.Members(function) {
			if string(name) == "name" {
				c.Name, _ = dialect.Text(value)
			}
		}
	}
	if c.Name == "" {
		d.unmet("tool_choice")
		return nil
	}
	c.Mode = dialect.ToolsNamed
	return nil
}

func (d *requestDecoder) format(value []byte) *dialect.Error {
	f := &d.r.Format
	kind, schema := "", []byte(nil)
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "json_schema":
			schema = value
		}
	}
	switch kind {
	case "text":
	case "json_object":
		f.Kind = dialect.FormatJSON
	case "json_schema":
		f.Kind = dialect.FormatSchema
		for name, value := range dialect.Members(schema) {
			switch string(name) {
			case "name":
				f.Name, _ = dialect.Text(value)
			case "description":
				f.Description = dialect.InsideOf(value)
			case "schema":
				f.Schema = value
			case "strict":
				f.Strict = dialect.FlagOf(value)
			}
		}
		if f.Schema.Null() {
			return dialect.Missing("response_format.json_schema.schema", "say what the answer must be")
		}
	default:
		d.unmet("response_format")
	}
	return nil
}

func (d *requestDecoder) effort(field string, value []byte) *dialect.Error {
	r := &d.r.Reasoning
	if err := readText(&r.Effort, field, value); err != nil {
		return err
	}
	r.Mode = dialect.ReasoningAdaptive
	if r.Effort == "none" {
		r.Mode = dialect.ReasoningOff
	}
	return nil
}

// reasoning reads OpenRouter's way to say it: {"effort","max_tokens","enabled","exclude"}.
func (d *requestDecoder) reasoning(value []byte) *dialect.Error {
	r := &d.r.Reasoning
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "effort":
			if string(value) == "null" {
				continue
			}
			if err := d.effort("reasoning.effort", value); err != nil {
				return err
			}
		case "max_tokens":
			if string(value) == "null" {
				continue
			}
			r.Mode = dialect.ReasoningOn
			if err := readNumber(&r.Budget, "reasoning.max_tokens", value); err != nil {
				return err
			}
		case "enabled":
			if string(value) == "false" {
				r.Mode = dialect.ReasoningOff
			}
		case "exclude":
			if string(value) == "true" {
				r.Display = "omitted"
			}
		}
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

func readFlag(dst *dialect.Flag, field string, value []byte) *dialect.Error {
	if *dst = dialect.FlagOf(value); *dst == dialect.Unset {
		return dialect.Mistyped(field, "true or false")
	}
	return nil
}
