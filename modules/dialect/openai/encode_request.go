package openai

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// schemaName is the name of a schema that comes from a dialect where schemas have none.
const schemaName = "answer"

// EncodeRequest appends a chat completion's request. dropped are the client's fields that were left out, where
// the policy allows it.
//
// Left out without a word, since OpenAI needs none of it: marks for the prompt cache (it caches every prefix),
// metadata (which it takes only with answers that it is to keep), whether thoughts are shown, and earlier
// thoughts, except where the policy keeps them.
func EncodeRequest(dst []byte, r *dialect.Request, p dialect.Policy) (body []byte, dropped []string, err *dialect.Error) {
	e := requestEncoder{r: r, policy: p, gaps: dialect.NewGaps(r, dialect.OpenAI, p)}
	dst = append(dst, '{')
	dst = dialect.String(dialect.Member(dst, "model"), r.Model)
	dst = append(e.messages(append(dialect.Member(dst, "messages"), '[')), ']')
	dst = e.tools(dst)
	dst = e.format(dst)
	dst = e.sampling(dst)
	dst = e.reasoning(dst)
	dst = dialect.RawMember(dst, "max_completion_tokens", r.MaxTokens)
	if len(r.Stop) > 0 {
		dst = append(dialect.Member(dst, "stop"), '[')
		for _, stop := range r.Stop {
			dst = dialect.String(dialect.Element(dst), stop)
		}
		dst = append(dst, ']')
	}
	dst = dialect.TextMember(dst, "user", r.User)
	if r.Stream {
		dst = append(dialect.Member(dst, "stream"), "true"...)
		if r.IncludeUsage {
			dst = append(dialect.Member(dst, "stream_options"), `{"include_usage":true}`...)
		}
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

func (e *requestEncoder) tools(dst []byte) []byte {
	r := e.r
	if len(r.Tools) > 0 {
		dst = append(dialect.Member(dst, "tools"), '[')
		for i := range r.Tools {
			t := &r.Tools[i]
			dst = append(dialect.Element(dst), `{"type":"function","function":{`...)
			dst = dialect.String(dialect.Member(dst, "name"), t.Name)
			dst = dialect.InsideMember(dst, "description", t.Description)
			dst = dialect.RawMember(dst, "parameters", t.Schema)
			dst = dialect.FlagMember(dst, "strict", t.Strict)
			dst = append(dst, "}}"...)
		}
		dst = append(dst, ']')
		dst = dialect.FlagMember(dst, "parallel_tool_calls", r.Choice.Parallel)
	}
	switch r.Choice.Mode {
	case dialect.ToolsAuto:
		dst = dialect.TextMember(dst, "tool_choice", "auto")
	case dialect.ToolsNone:
		dst = dialect.TextMember(dst, "tool_choice", "none")
	case dialect.ToolsAny:
		dst = dialect.TextMember(dst, "tool_choice", "required")
	case dialect.ToolsNamed:
		dst = append(dialect.Member(dst, "tool_choice"), `{"type":"function","function":{`...)
		dst = append(dialect.TextMember(dst, "name", r.Choice.Name), "}}"...)
	}
	return dst
}

func (e *requestEncoder) format(dst []byte) []byte {
	f := &e.r.Format
	switch f.Kind {
	case dialect.FormatJSON:
		dst = append(dialect.Member(dst, "response_format"), `{"type":"json_object"}`...)
	case dialect.FormatSchema:
		dst = append(dialect.Member(dst, "response_format"), `{"type":"json_schema","json_schema":{`...)
		name := f.Name
		if name == "" {
			name = schemaName
		}
		dst = dialect.TextMember(dst, "name", name)
		dst = dialect.InsideMember(dst, "description", f.Description)
		dst = dialect.RawMember(dst, "schema", f.Schema)
		dst = append(dialect.FlagMember(dst, "strict", f.Strict), "}}"...)
	}
	return dst
}

func (e *requestEncoder) sampling(dst []byte) []byte {
	s := &e.r.Sampling
	if s.TopK != nil {
		e.gaps.Param(dialect.ParamTopK, "")
	}
	dst = dialect.RawMember(dst, "temperature", s.Temperature)
	dst = dialect.RawMember(dst, "top_p", s.TopP)
	dst = dialect.RawMember(dst, "seed", s.Seed)
	dst = dialect.RawMember(dst, "frequency_penalty", s.FrequencyPenalty)
	dst = dialect.RawMember(dst, "presence_penalty", s.PresencePenalty)
	dst = dialect.RawMember(dst, "n", s.Choices)
	if s.Logprobs {
		dst = append(dialect.Member(dst, "logprobs"), "true"...)
	}
	return dialect.RawMember(dst, "top_logprobs", s.TopLogprobs)
}

func (e *requestEncoder) reasoning(dst []byte) []byte {
	r := &e.r.Reasoning
	effort := r.Effort
	switch {
	case effort != "":
	case r.Mode == dialect.ReasoningOff:
		effort = "none"
	case r.Budget != nil:
		budget, _ := r.Budget.Number()
		effort = dialect.EffortOf(budget)
	}
	return dialect.TextMember(dst, "reasoning_effort", effort)
}
