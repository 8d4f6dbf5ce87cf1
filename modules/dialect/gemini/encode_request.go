package gemini

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// EncodeRequest appends a request of generateContent. dropped are the client's fields that were left out, where
// the policy allows it. The model and whether to stream are for the address.
//
// Left out without a word, since nothing in an answer depends on it: marks for the prompt cache (Google caches
// every prefix), a schema's name and description and whether it is strict, how closely to look at an image, who
// the user is, metadata, and earlier thoughts that Google has not signed.
func EncodeRequest(dst []byte, r *dialect.Request, p dialect.Policy) (body []byte, dropped []string, err *dialect.Error) {
	e := requestEncoder{r: r, policy: p, gaps: dialect.NewGaps(r, dialect.Gemini, p)}
	dst = append(dst, '{')
	dst = e.system(dst)
	dst = append(e.contents(append(dialect.Member(dst, "contents"), '[')), ']')
	dst = e.tools(dst)
	dst = e.toolConfig(dst)
	dst = e.config(dst)
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
	called map[string]string // names of the tools that were called, by the ids of the calls
}

func (e *requestEncoder) tools(dst []byte) []byte {
	if len(e.r.Tools) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "tools"), `[{"functionDeclarations":[`...)
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		dst = append(dialect.Element(dst), '{')
		dst = dialect.String(dialect.Member(dst, "name"), t.Name)
		dst = dialect.InsideMember(dst, "description", t.Description)
		dst = append(dialect.RawMember(dst, "parametersJsonSchema", t.Schema), '}')
	}
	return append(dst, "]}]"...)
}

func (e *requestEncoder) toolConfig(dst []byte) []byte {
	c := &e.r.Choice
	if c.Parallel == dialect.Off && len(e.r.Tools) > 0 {
		e.gaps.Param(dialect.ParamParallel, "it may always call several tools at once; leave it out")
	}
	mode := ""
	switch c.Mode {
	case dialect.ToolsAuto:
		mode = "AUTO"
	case dialect.ToolsNone:
		mode = "NONE"
	case dialect.ToolsAny, dialect.ToolsNamed:
		mode = "ANY"
	}
	if mode == "" || len(e.r.Tools) == 0 {
		return dst
	}
	dst = append(dialect.Member(dst, "toolConfig"), `{"functionCallingConfig":{`...)
	dst = dialect.TextMember(dst, "mode", mode)
	if c.Mode == dialect.ToolsNamed {
		dst = append(dialect.Member(dst, "allowedFunctionNames"), '[')
		dst = append(dialect.String(dst, c.Name), ']')
	}
	return append(dst, "}}"...)
}

// config appends the member generationConfig, where it says something.
func (e *requestEncoder) config(dst []byte) []byte {
	begin := len(dst)
	dst = append(dialect.Member(dst, "generationConfig"), '{')
	empty := len(dst)
	dst = dialect.RawMember(dst, "maxOutputTokens", e.r.MaxTokens)
	dst = e.sampling(dst)
	if len(e.r.Stop) > 0 {
		dst = append(dialect.Member(dst, "stopSequences"), '[')
		for _, stop := range e.r.Stop {
			dst = dialect.String(dialect.Element(dst), stop)
		}
		dst = append(dst, ']')
	}
	dst = e.format(dst)
	dst = e.thinking(dst)
	if len(dst) == empty {
		return dst[:begin]
	}
	return append(dst, '}')
}

func (e *requestEncoder) sampling(dst []byte) []byte {
	s := &e.r.Sampling
	dst = dialect.RawMember(dst, "temperature", s.Temperature)
	dst = dialect.RawMember(dst, "topP", s.TopP)
	dst = dialect.RawMember(dst, "topK", s.TopK)
	dst = dialect.RawMember(dst, "seed", s.Seed)
	dst = dialect.RawMember(dst, "frequencyPenalty", s.FrequencyPenalty)
	dst = dialect.RawMember(dst, "presencePenalty", s.PresencePenalty)
	if s.Logprobs {
		e.gaps.Param(dialect.ParamLogprobs, "")
	}
	if n, ok := s.TopLogprobs.Number(); ok && n != 0 {
		e.gaps.Param(dialect.ParamTopLogprobs, "")
	}
	if n, ok := s.Choices.Number(); ok && n != 1 {
		e.gaps.Param(dialect.ParamChoices, "")
	}
	return dst
}

func (e *requestEncoder) format(dst []byte) []byte {
	f := &e.r.Format
	if f.Kind == dialect.FormatText {
		return dst
	}
	dst = dialect.TextMember(dst, "responseMimeType", "application/json")
	if f.Kind == dialect.FormatSchema {
		dst = dialect.RawMember(dst, "responseJsonSchema", f.Schema)
	}
	return dst
}

// levels are Google's efforts.
var levels = map[string]string{"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}

// thinking appends how much to think: by a level or by a budget, since Google refuses both together. Without
// either, a budget of -1 leaves it to the model.
func (e *requestEncoder) thinking(dst []byte) []byte {
	r := &e.r.Reasoning
	level, budget := levels[r.Effort], dialect.Raw(nil)
	switch {
	case r.Mode == dialect.ReasoningOff || r.Effort == "none":
		return append(dialect.Member(dst, "thinkingConfig"), `{"thinkingBudget":0}`...)
	case r.Mode == dialect.ReasoningOn && r.Budget != nil:
		level, budget = "", r.Budget
	case level != "" && e.policy.BudgetReasoning:
		level, budget = "", dialect.BudgetOf(r.Effort)
	case level == "" && r.Mode != dialect.ReasoningUnset:
		budget = dialect.Raw("-1")
	case level == "" && r.Display != "summarized":
		return dst
	}
	dst = append(dialect.Member(dst, "thinkingConfig"), '{')
	dst = dialect.TextMember(dst, "thinkingLevel", level)
	dst = dialect.RawMember(dst, "thinkingBudget", budget)
	if r.Display != "omitted" {
		dst = append(dialect.Member(dst, "includeThoughts"), "true"...)
	}
	return append(dst, '}')
}
