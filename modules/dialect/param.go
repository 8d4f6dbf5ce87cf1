package dialect

// Param is a parameter of a call that a dialect may not know.
type Param uint8

// The parameters.
const (
	ParamSystem Param = iota
	ParamTools
	ParamToolChoice
	ParamParallel
	ParamFormat
	ParamMaxTokens
	ParamStop
	ParamTemperature
	ParamTopP
	ParamTopK
	ParamSeed
	ParamFrequencyPenalty
	ParamPresencePenalty
	ParamChoices
	ParamLogprobs
	ParamTopLogprobs
	ParamEffort
	ParamBudget
	ParamUser
	ParamMetadata
	paramCount
)

// ParamNames is what a dialect calls each parameter, as a path; empty where it has no such thing.
type ParamNames [paramCount]string

// neutralNames are for calls that come from no dialect.
var neutralNames = ParamNames{
	ParamSystem: "system", ParamTools: "tools", ParamToolChoice: "tool_choice", ParamParallel: "parallel_tool_calls",
	ParamFormat: "format", ParamMaxTokens: "max_tokens", ParamStop: "stop", ParamTemperature: "temperature",
	ParamTopP: "top_p", ParamTopK: "top_k", ParamSeed: "seed", ParamFrequencyPenalty: "frequency_penalty",
	ParamPresencePenalty: "presence_penalty", ParamChoices: "n", ParamLogprobs: "logprobs",
	ParamTopLogprobs: "top_logprobs", ParamEffort: "reasoning.effort", ParamBudget: "reasoning.budget",
	ParamUser: "user", ParamMetadata: "metadata",
}

// Name is what the client calls a parameter.
func (r *Request) Name(p Param) string {
	if r.Names != nil && r.Names[p] != "" {
		return r.Names[p]
	}
	return neutralNames[p]
}
