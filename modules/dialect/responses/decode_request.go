package responses

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// harmless are parameters that may be left out on the way to another dialect, since a client cannot see from its
// answer whether they were obeyed, or since they bound what is refused anyway.
var harmless = []string{"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier", "stream_options", "max_tool_calls"}

// DecodeRequest reads a request into the neutral form. Check must have passed the body.
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
	d.logprobs()
	return d.r, nil
}

type requestDecoder struct {
	r           *dialect.Request
	topLogprobs dialect.Raw  // wanted only where include asks for them
	seal        dialect.Part // holds the signature of the call that comes next
}

func (d *requestDecoder) member(name, value []byte) *dialect.Error {
	r := d.r
	switch string(name) {
	case "model":
		return readText(&r.Model, "model", value)
	case "instructions":
		return d.system(value)
	case "input":
		return d.input(value)
	case "tools":
		return d.tools(value)
	case "tool_choice":
		return d.toolChoice(value)
	case "parallel_tool_calls":
		return readFlag(&r.Choice.Parallel, "parallel_tool_calls", value)
	case "text":
		return d.text(value)
	case "reasoning":
		return d.reasoning(value)
	case "include":
		return d.include(value)
	case "max_output_tokens":
		return readNumber(&r.MaxTokens, "max_output_tokens", value)
	case "temperature":
		return readNumber(&r.Sampling.Temperature, "temperature", value)
	case "top_p":
		return readNumber(&r.Sampling.TopP, "top_p", value)
	case "top_logprobs":
		return readNumber(&d.topLogprobs, "top_logprobs", value)
	case "stream":
		var f dialect.Flag
		err := readFlag(&f, "stream", value)
		r.Stream = f == dialect.On
		return err
	case "user", "safety_identifier":
		if r.User != "" {
			return nil
		}
		return readText(&r.User, string(name), value)
	case "metadata":
		r.Metadata = value
	case "previous_response_id", "conversation", "prompt":
		return stored(string(name))
	case "background":
		if string(value) != "false" {
			return noBackground()
		}
	default:
		if !idle(name, value) {
			d.unmet(string(name))
		}
	}
	return nil
}

// stored refuses what refers to a store of the provider's. It is never left out: the model would answer something else.
func stored(field string) *dialect.Error {
	err := dialect.Errorf(dialect.InvalidRequest, "%s refers to what a provider has stored, and this model's provider stores nothing: send the whole conversation in input, with store set to false", field)
	err.Field, err.Code = field, "unsupported_parameter"
	return err
}

// idle tells whether a parameter that the neutral form has no place for may be left out: it is harmless, or says what
// is so without it.
func idle(name, value []byte) bool {
	switch string(value) {
	case "[]", "{}", `""`:
		return true
	}
	switch string(name) {
	case "store":
		return string(value) == "false"
	case "truncation":
		return string(value) == `"disabled"`
	}
	return slices.Contains(harmless, string(name))
}

func (d *requestDecoder) unmet(field string) { d.r.Unmet = append(d.r.Unmet, field) }

// system reads the instructions, which come before all that the input says.
func (d *requestDecoder) system(value []byte) *dialect.Error {
	in := dialect.InsideOf(value)
	if in == nil {
		return dialect.Mistyped("instructions", "a string")
	}
	part := dialect.Part{Kind: dialect.PartText, Place: dialect.Place{Root: "instructions"}, Text: in}
	d.r.System = slices.Insert(d.r.System, 0, part)
	return nil
}

func (d *requestDecoder) text(value []byte) *dialect.Error {
	if value[0] != '{' {
		return dialect.Mistyped("text", "an object")
	}
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "format":
			if err := d.format(value); err != nil {
				return err
			}
		case "verbosity":
			if string(value) != "null" && string(value) != `"medium"` {
				d.unmet("text.verbosity")
			}
		default:
			if !idle(name, value) {
				d.unmet("text." + string(name))
			}
		}
	}
	return nil
}

func (d *requestDecoder) format(value []byte) *dialect.Error {
	f := &d.r.Format
	kind := ""
	var read dialect.Format
	for name, value := range dialect.Members(value) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "name":
			read.Name, _ = dialect.Text(value)
		case "description":
			read.Description = dialect.InsideOf(value)
		case "schema":
			read.Schema = value
		case "strict":
			read.Strict = dialect.FlagOf(value)
		}
	}
	switch {
	case string(value) == "null", kind == "text":
	case kind == "json_object":
		f.Kind = dialect.FormatJSON
	case kind == "json_schema":
		*f = read
		f.Kind = dialect.FormatSchema
		if f.Schema.Null() {
			return dialect.Missing("text.format.schema", "say what the answer must be")
		}
	default:
		d.unmet("text.format")
	}
	return nil
}

func (d *requestDecoder) reasoning(value []byte) *dialect.Error {
	if value[0] != '{' {
		return dialect.Mistyped("reasoning", "an object")
	}
	r := &d.r.Reasoning
	for name, value := range dialect.Members(value) {
		if string(value) == "null" {
			continue
		}
		switch string(name) {
		case "effort":
			if err := readText(&r.Effort, "reasoning.effort", value); err != nil {
				return err
			}
			r.Mode = dialect.ReasoningAdaptive
			if r.Effort == "none" {
				r.Mode = dialect.ReasoningOff
			}
		case "summary", "generate_summary":
			r.Display = "summarized"
		default:
			if !idle(name, value) {
				d.unmet("reasoning." + string(name))
			}
		}
	}
	return nil
}

// include reads what else the answer is to tell. Of tools that run at the provider nothing can be told, but they are
// refused themselves; what a client has to send back of the thoughts it is always told.
func (d *requestDecoder) include(value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped("include", "an array")
	}
	for element := range dialect.Elements(value) {
		if string(element) == `"message.output_text.logprobs"` {
			d.r.Sampling.Logprobs = true
		}
	}
	return nil
}

// logprobs asks for probabilities, which the events of a translated stream do not have.
func (d *requestDecoder) logprobs() {
	s := &d.r.Sampling
	if !s.Logprobs {
		return
	}
	if d.r.Stream {
		s.Logprobs = false
		d.unmet("include")
		return
	}
	s.TopLogprobs = d.topLogprobs
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
