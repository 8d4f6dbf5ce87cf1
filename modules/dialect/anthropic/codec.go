package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// Codec translates messages.
var Codec = dialect.Codec{
	Name:             dialect.Anthropic,
	DecodeRequest:    DecodeRequest,
	EncodeRequest:    EncodeRequest,
	DecodeAnswer:     DecodeAnswer,
	EncodeAnswer:     EncodeAnswer,
	NewDecoder:       func() dialect.StreamDecoder { return NewDecoder() },
	NewEncoder:       func(dialect.StreamOptions) dialect.StreamEncoder { return NewEncoder() },
	ParseError:       ParseError,
	AppendError:      AppendError,
	AppendErrorEvent: AppendErrorEvent,
	Status:           Status,
	KeepAlive:        []byte("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
	Complete:         Complete,
	NewFold:          func(limit int) dialect.Fold { return NewFold(limit) },
	SetUsage:         SetUsage,
	Replay: func(answer []byte, _ dialect.StreamOptions, yield func(event []byte) bool) error {
		return Replay(answer, yield)
	},
	ReadOutcome: ReadOutcome,
}

var names = dialect.ParamNames{
	dialect.ParamSystem:      "system",
	dialect.ParamTools:       "tools",
	dialect.ParamToolChoice:  "tool_choice",
	dialect.ParamParallel:    "tool_choice.disable_parallel_tool_use",
	dialect.ParamFormat:      "output_config.format",
	dialect.ParamMaxTokens:   "max_tokens",
	dialect.ParamStop:        "stop_sequences",
	dialect.ParamTemperature: "temperature",
	dialect.ParamTopP:        "top_p",
	dialect.ParamTopK:        "top_k",
	dialect.ParamEffort:      "output_config.effort",
	dialect.ParamBudget:      "thinking.budget_tokens",
	dialect.ParamUser:        "metadata.user_id",
	dialect.ParamMetadata:    "metadata",
}

// finishOf reads a stop_reason.
func finishOf(value []byte) dialect.Finish {
	switch reason, _ := dialect.Text(value); reason {
	case "":
		return dialect.FinishNone
	case "end_turn", "stop_sequence":
		return dialect.FinishStop
	case "max_tokens", "model_context_window_exceeded":
		return dialect.FinishLength
	case "tool_use":
		return dialect.FinishTools
	case "pause_turn":
		return dialect.FinishPause
	case "refusal":
		return dialect.FinishFilter
	}
	return dialect.FinishUnknown
}

// stopReason is what Anthropic calls a reason. Its answers have no refusal among their content, so that one that
// holds a refusal says so here.
func stopReason(f dialect.Finish, stopSequence string, refused bool) string {
	switch {
	case refused || f == dialect.FinishFilter:
		return "refusal"
	case f == dialect.FinishLength:
		return "max_tokens"
	case f == dialect.FinishTools:
		return "tool_use"
	case f == dialect.FinishPause:
		return "pause_turn"
	case stopSequence != "":
		return "stop_sequence"
	}
	return "end_turn"
}
