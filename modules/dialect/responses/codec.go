package responses

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

// Codec translates the client's side of the API: a provider is asked in this dialect only by a client who speaks it.
var Codec = dialect.Codec{
	Name:             dialect.Responses,
	DecodeRequest:    DecodeRequest,
	EncodeAnswer:     EncodeAnswer,
	NewEncoder:       func(o dialect.StreamOptions) dialect.StreamEncoder { return NewEncoder(o) },
	ParseError:       openai.ParseError,
	AppendError:      openai.AppendError,
	AppendErrorEvent: AppendErrorEvent,
	Status:           openai.Status,
	KeepAlive:        openai.Codec.KeepAlive,
	Complete:         Complete,
	NewFold:          func(limit int) dialect.Fold { return NewFold(limit) },
	SetUsage:         SetUsage,
	Replay: func(answer []byte, _ dialect.StreamOptions, yield func(event []byte) bool) error {
		return Replay(answer, yield)
	},
	ReadOutcome: ReadOutcome,
}

var names = dialect.ParamNames{
	dialect.ParamSystem:      "instructions",
	dialect.ParamTools:       "tools",
	dialect.ParamToolChoice:  "tool_choice",
	dialect.ParamParallel:    "parallel_tool_calls",
	dialect.ParamFormat:      "text.format",
	dialect.ParamMaxTokens:   "max_output_tokens",
	dialect.ParamTemperature: "temperature",
	dialect.ParamTopP:        "top_p",
	dialect.ParamLogprobs:    "include",
	dialect.ParamTopLogprobs: "top_logprobs",
	dialect.ParamEffort:      "reasoning.effort",
	dialect.ParamUser:        "user",
	dialect.ParamMetadata:    "metadata",
}
