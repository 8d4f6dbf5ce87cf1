package anthropic

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// minBudget is the least number of tokens that Anthropic lets a model think with.
const minBudget = 1024

// EncodeRequest appends a message's request. dropped are the client's fields that were left out, where the
// policy allows it.
//
// Left out without a word, since nothing in an answer depends on it: a schema's name and description and
// whether it is strict (Anthropic always keeps to it), how closely to look at an image, metadata other than the
// user, and earlier thoughts that Anthropic has not signed, which it would refuse.
func EncodeRequest(dst []byte, r *dialect.Request, p dialect.Policy) (body []byte, dropped []string, err *dialect.Error) {
	e := requestEncoder{r: r, policy: p, gaps: dialect.NewGaps(r, dialect.Anthropic, p)}
	dst = append(dst, '{')
	dst = dialect.String(dialect.Member(dst, "model"), r.Model)
	dst = e.maxTokens(dst)
	dst = e.system(dst)
	dst = append(e.messages(append(dialect.Member(dst, "messages"), '[')), ']')
	dst = e.tools(dst)
	dst = e.toolChoice(dst)
	dst = e.sampling(dst)
	dst = e.thinking(dst)
	dst = e.output(dst)
	if len(r.Stop) > 0 {
		dst = append(dialect.Member(dst, "stop_sequences"), '[')
		for _, stop := range r.Stop {
			dst = dialect.String(dialect.Element(dst), stop)
		}
		dst = append(dst, ']')
	}
	if r.User != "" {
		dst = append(dialect.Member(dst, "metadata"), '{')
		dst = append(dialect.TextMember(dst, "user_id", r.User), '}')
	}
	dst = appendCache(dst, r.Cache)
	if r.Stream {
		dst = append(dialect.Member(dst, "stream"), "true"...)
	}
	dropped, err = e.gaps.Result()
	if err != nil {
		return nil, nil, err
	}
	return append(dst, '}'), dropped, nil
}

type requestEncoder struct {
	r      *dialect.Request
	policy dialect.Policy
	gaps   *dialect.Gaps
}

// maxTokens appends the bound, which Anthropic cannot do without. Where it is ours, it leaves room for the
// thoughts that the client asked for.
func (e *requestEncoder) maxTokens(dst []byte) []byte {
	if !e.r.MaxTokens.Null() {
		return dialect.RawMember(dst, "max_tokens", e.r.MaxTokens)
	}
	n := e.policy.MaxTokens
	if n <= 0 {
		n = dialect.DefaultMaxTokens
	}
	if budget, ok := e.budget().Number(); ok && budget < maxCap {
		n += int64(budget)
	}
	return dialect.IntMember(dst, "max_tokens", n)
}

// budget is how many tokens the model may think with; nil where it is free to choose or does not think.
func (e *requestEncoder) budget() dialect.Raw {
	r := &e.r.Reasoning
	switch {
	case r.Mode == dialect.ReasoningOff:
		return nil
	case r.Mode == dialect.ReasoningOn && r.Budget != nil:
		return r.Budget
	case !e.policy.BudgetReasoning || r.Mode == dialect.ReasoningUnset:
		return nil
	}
	budget := dialect.BudgetOf(r.Effort)
	if budget == nil {
		budget = dialect.BudgetOf("medium")
	}
	n, _ := budget.Number()
	bound, bounded := e.r.MaxTokens.Number()
	switch {
	case !bounded || n <= bound/2:
		return budget
	case bound/2 < minBudget:
		return nil // the answer is too short for thoughts
	}
	return strconv.AppendInt(nil, int64(bound/2), 10)
}

func (e *requestEncoder) thinking(dst []byte) []byte {
	r := &e.r.Reasoning
	if r.Mode == dialect.ReasoningUnset {
		return dst
	}
	budget := e.budget()
	kind := "adaptive"
	switch {
	case r.Mode == dialect.ReasoningOff, budget == nil && e.policy.BudgetReasoning:
		kind = "disabled"
	case budget != nil:
		kind = "enabled"
	}
	dst = append(dialect.Member(dst, "thinking"), '{')
	dst = dialect.TextMember(dst, "type", kind)
	if kind != "disabled" {
		dst = dialect.RawMember(dst, "budget_tokens", budget)
		dst = dialect.TextMember(dst, "display", r.Display)
	}
	return append(dst, '}')
}

// output appends how much effort to make and what the answer must be.
func (e *requestEncoder) output(dst []byte) []byte {
	effort := e.r.Reasoning.Effort
	switch {
	case effort == "minimal":
		effort = "low"
	case effort == "none", e.policy.BudgetReasoning:
		effort = ""
	}
	f := &e.r.Format
	if f.Kind == dialect.FormatJSON {
		e.gaps.Param(dialect.ParamFormat, "send a JSON Schema")
	}
	schema, enforced := e.answerSchema()
	if effort == "" && !enforced {
		return dst
	}
	dst = append(dialect.Member(dst, "output_config"), '{')
	dst = dialect.TextMember(dst, "effort", effort)
	if enforced {
		dst = append(dialect.Member(dst, "format"), `{"type":"json_schema","schema":`...)
		dst = append(append(dst, schema...), '}')
	}
	return append(dst, '}')
}

func (e *requestEncoder) sampling(dst []byte) []byte {
	s := &e.r.Sampling
	temperature := s.Temperature
	if t, ok := temperature.Number(); ok && t > 1 {
		e.gaps.Param(dialect.ParamTemperature, "send at most 1")
		temperature = dialect.Raw("1")
	}
	dst = dialect.RawMember(dst, "temperature", temperature)
	dst = dialect.RawMember(dst, "top_p", s.TopP)
	dst = dialect.RawMember(dst, "top_k", s.TopK)
	if s.Logprobs {
		e.gaps.Param(dialect.ParamLogprobs, "")
	}
	if s.Seed != nil {
		e.gaps.Param(dialect.ParamSeed, "")
	}
	for _, other := range []struct {
		value dialect.Raw
		usual float64 // asks for nothing
		param dialect.Param
	}{
		{s.FrequencyPenalty, 0, dialect.ParamFrequencyPenalty},
		{s.PresencePenalty, 0, dialect.ParamPresencePenalty},
		{s.Choices, 1, dialect.ParamChoices},
		{s.TopLogprobs, 0, dialect.ParamTopLogprobs},
	} {
		if n, ok := other.value.Number(); ok && n != other.usual {
			e.gaps.Param(other.param, "")
		}
	}
	return dst
}

func (e *requestEncoder) tools(dst []byte) []byte {
	if len(e.r.Tools) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "tools"), '[')
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		dst = append(dialect.Element(dst), '{')
		dst = dialect.String(dialect.Member(dst, "name"), t.Name)
		dst = dialect.InsideMember(dst, "description", t.Description)
		dst = appendSchema(dialect.Member(dst, "input_schema"), t.Schema)
		dst = dialect.FlagMember(dst, "strict", t.Strict)
		dst = append(appendCache(dst, t.Cache), '}')
	}
	return append(dst, ']')
}

// appendSchema appends a tool's schema, which must say that it is for an object.
func appendSchema(dst []byte, schema dialect.Raw) []byte {
	if len(schema) == 0 || schema[0] != '{' {
		return append(dst, `{"type":"object"}`...)
	}
	for name := range dialect.Members(schema) {
		if string(name) == "type" {
			return append(dst, schema...)
		}
	}
	return dialect.Splice(dst, schema, dialect.Edit{Name: "type", Value: []byte(`"object"`)})
}

func (e *requestEncoder) toolChoice(dst []byte) []byte {
	c := &e.r.Choice
	kind := "auto"
	switch c.Mode {
	case dialect.ToolsNone:
		kind = "none"
	case dialect.ToolsAny:
		kind = "any"
	case dialect.ToolsNamed:
		kind = "tool"
	}
	idle := c.Mode == dialect.ToolsUnset && c.Parallel != dialect.Off
	if idle || len(e.r.Tools) == 0 && (kind == "auto" || kind == "none") {
		return dst
	}
	dst = append(dialect.Member(dst, "tool_choice"), '{')
	dst = dialect.TextMember(dst, "type", kind)
	dst = dialect.TextMember(dst, "name", c.Name)
	switch {
	case kind == "none":
	case c.Parallel == dialect.Off:
		dst = dialect.FlagMember(dst, "disable_parallel_tool_use", dialect.On)
	case c.Parallel == dialect.On:
		dst = dialect.FlagMember(dst, "disable_parallel_tool_use", dialect.Off)
	}
	return append(dst, '}')
}

// appendCache appends the member cache_control, where there is a mark. Anthropic keeps prompts for five minutes
// or an hour; longer times become the latter.
func appendCache(dst []byte, c dialect.Cache) []byte {
	if c == "" {
		return dst
	}
	dst = append(dialect.Member(dst, "cache_control"), `{"type":"ephemeral"`...)
	switch c {
	case dialect.CacheDefault:
	case "5m":
		dst = dialect.TextMember(dst, "ttl", "5m")
	default:
		dst = dialect.TextMember(dst, "ttl", "1h")
	}
	return append(dst, '}')
}
