package gemini

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Codec translates calls of generateContent and streamGenerateContent. A body of theirs says neither the model nor
// whether the answer is wanted as events: both are in the address, so that whoever has the address sets them in
// the neutral form, and writes them there.
var Codec = dialect.Codec{
	Name:             dialect.Gemini,
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
	// Google's clients take nothing but data: a comment is an error to some and becomes a part of the answer in others. Blank lines
	// pass, also between the elements of an array.
	KeepAlive: []byte("\n\n"),
	Complete:  Complete,
	NewFold:   func(limit int) dialect.Fold { return NewFold(limit) },
	SetUsage:  SetUsage,
	Replay: func(answer []byte, _ dialect.StreamOptions, yield func(event []byte) bool) error {
		return Replay(answer, yield)
	},
	Embeddings:  &embeddings,
	ReadOutcome: ReadOutcome,
}

var names = dialect.ParamNames{
	dialect.ParamSystem:           "systemInstruction",
	dialect.ParamTools:            "tools",
	dialect.ParamToolChoice:       "toolConfig.functionCallingConfig",
	dialect.ParamFormat:           "generationConfig.responseJsonSchema",
	dialect.ParamMaxTokens:        "generationConfig.maxOutputTokens",
	dialect.ParamStop:             "generationConfig.stopSequences",
	dialect.ParamTemperature:      "generationConfig.temperature",
	dialect.ParamTopP:             "generationConfig.topP",
	dialect.ParamTopK:             "generationConfig.topK",
	dialect.ParamSeed:             "generationConfig.seed",
	dialect.ParamFrequencyPenalty: "generationConfig.frequencyPenalty",
	dialect.ParamPresencePenalty:  "generationConfig.presencePenalty",
	dialect.ParamChoices:          "generationConfig.candidateCount",
	dialect.ParamLogprobs:         "generationConfig.responseLogprobs",
	dialect.ParamTopLogprobs:      "generationConfig.logprobs",
	dialect.ParamEffort:           "generationConfig.thinkingConfig.thinkingLevel",
	dialect.ParamBudget:           "generationConfig.thinkingConfig.thinkingBudget",
	dialect.ParamMetadata:         "labels",
}

// Reasons why an answer ended, as finishReason has them.
const (
	reasonStop     = "STOP"
	reasonLength   = "MAX_TOKENS"
	reasonSafety   = "SAFETY"
	reasonContinue = "CONTINUATION"
)

// finishOf reads a finishReason. That tools are to be called, it does not say.
func finishOf(reason string) dialect.Finish {
	switch reason {
	case "", "FINISH_REASON_UNSPECIFIED":
		return dialect.FinishNone
	case reasonStop:
		return dialect.FinishStop
	case reasonLength:
		return dialect.FinishLength
	case reasonSafety, "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR":
		return dialect.FinishFilter
	case reasonContinue:
		return dialect.FinishPause
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
		"MALFORMED_RESPONSE", "OTHER", "NO_IMAGE", "IMAGE_OTHER":
		return dialect.FinishError
	}
	if strings.HasPrefix(reason, "IMAGE_") {
		return dialect.FinishFilter
	}
	return dialect.FinishUnknown
}

// finishReason is what Google calls a reason. Its answers have no refusal among their content, so that one that
// holds a refusal says so here.
func finishReason(f dialect.Finish, refused bool) string {
	switch {
	case refused || f == dialect.FinishFilter:
		return reasonSafety
	case f == dialect.FinishLength:
		return reasonLength
	case f == dialect.FinishPause:
		return reasonContinue
	}
	return reasonStop
}
