package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// Codec translates chat completions.
var Codec = dialect.Codec{
	Name:             dialect.OpenAI,
	DecodeRequest:    DecodeRequest,
	EncodeRequest:    EncodeRequest,
	DecodeAnswer:     DecodeAnswer,
	EncodeAnswer:     EncodeAnswer,
	NewDecoder:       func() dialect.StreamDecoder { return NewDecoder() },
	NewEncoder:       func(o dialect.StreamOptions) dialect.StreamEncoder { return NewEncoder(o) },
	ParseError:       ParseError,
	AppendError:      AppendError,
	AppendErrorEvent: AppendErrorEvent,
	Status:           Status,
	KeepAlive:        []byte(": ping\n\n"),
	Complete:         Complete,
	NewFold:          func(limit int) dialect.Fold { return NewFold(limit) },
	SetUsage:         SetUsage,
	Replay: func(answer []byte, o dialect.StreamOptions, yield func(event []byte) bool) error {
		return Replay(answer, o.IncludeUsage, yield)
	},
	Embeddings:  &embeddings,
	ReadOutcome: ReadOutcome,
}

var names = dialect.ParamNames{
	dialect.ParamSystem:           "messages",
	dialect.ParamTools:            "tools",
	dialect.ParamToolChoice:       "tool_choice",
	dialect.ParamParallel:         "parallel_tool_calls",
	dialect.ParamFormat:           "response_format",
	dialect.ParamMaxTokens:        "max_completion_tokens",
	dialect.ParamStop:             "stop",
	dialect.ParamTemperature:      "temperature",
	dialect.ParamTopP:             "top_p",
	dialect.ParamTopK:             "top_k",
	dialect.ParamSeed:             "seed",
	dialect.ParamFrequencyPenalty: "frequency_penalty",
	dialect.ParamPresencePenalty:  "presence_penalty",
	dialect.ParamChoices:          "n",
	dialect.ParamLogprobs:         "logprobs",
	dialect.ParamTopLogprobs:      "top_logprobs",
	dialect.ParamEffort:           "reasoning_effort",
	dialect.ParamBudget:           "reasoning.max_tokens",
	dialect.ParamUser:             "user",
	dialect.ParamMetadata:         "metadata",
}

var finishes = map[string]dialect.Finish{
	"stop":           dialect.FinishStop,
	"length":         dialect.FinishLength,
	"tool_calls":     dialect.FinishTools,
	"function_call":  dialect.FinishTools,
	"content_filter": dialect.FinishFilter,
	"error":          dialect.FinishError,
}

// finishOf reads a finish_reason.
func finishOf(value []byte) dialect.Finish {
	reason, ok := dialect.Text(value)
	if !ok || reason == "" {
		return dialect.FinishNone
	}
	if f, ok := finishes[reason]; ok {
		return f
	}
	return dialect.FinishUnknown
}

// finishReason is what OpenAI calls a reason. It has none for a turn that pauses or for one that is unknown.
func finishReason(f dialect.Finish) string {
	switch f {
	case dialect.FinishLength:
		return "length"
	case dialect.FinishTools:
		return "tool_calls"
	case dialect.FinishFilter:
		return "content_filter"
	}
	return "stop"
}
