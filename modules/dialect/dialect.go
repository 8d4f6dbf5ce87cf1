// Package dialect holds the vocabulary that every wire format shares: who speaks which shape, what was
// used, and what went wrong. It is pure: it knows no HTTP server, no provider and no store.
package dialect

// Name is the shape of a body on the wire.
type Name string

// The dialects that the gateway knows.
const (
	OpenAI    Name = "openai"
	Anthropic Name = "anthropic"
	Gemini    Name = "gemini"
	// Responses is OpenAI's Responses API. Its errors are those of OpenAI.
	Responses Name = "responses"
	// Analyze is the gateway's own structured prompt surface.
	Analyze Name = "analyze"
)

// Operation is what a call asks of a model, in the terms of the OpenTelemetry GenAI conventions
// (gen_ai.operation.name).
type Operation string

// The operations that a provider may be asked for.
const (
	Chat       Operation = "chat"
	Embeddings Operation = "embeddings"
	// CountTokens asks how many tokens a chat call's prompt is. The conventions have no name for it.
	CountTokens Operation = "count_tokens"

	// The operations whose requests and answers are passed on as they are, by providers that have them. But for the first, the
	// conventions have no names for them.
	TextCompletion  Operation = "text_completion"
	ImageGeneration Operation = "image_generation"
	ImageEdit       Operation = "image_edit"
	ImageVariation  Operation = "image_variation"
	Speech          Operation = "speech"
	Transcription   Operation = "transcription"
	Translation     Operation = "translation"
	Moderation      Operation = "moderation"
	Files           Operation = "files"
)

// Usage counts the tokens of one answer. The counts are disjoint: an input token is in exactly one of the
// input counts, an output token in exactly one of the output counts. Providers differ here (OpenAI's
// prompt_tokens include the cached ones, Anthropic's do not), so each codec converts on its way in.
type Usage struct {
	Input      int64 `json:"input,omitempty"`       // read afresh
	CacheRead  int64 `json:"cache_read,omitempty"`  // input read from the provider's prompt cache
	CacheWrite int64 `json:"cache_write,omitempty"` // input written to the provider's prompt cache
	Output     int64 `json:"output,omitempty"`      // visible output
	Reasoning  int64 `json:"reasoning,omitempty"`   // output spent on reasoning

	// Estimated is true where the provider reported nothing and the gateway counted for itself.
	Estimated bool `json:"estimated,omitempty"`
}

// InputTotal is all tokens of the prompt.
func (u Usage) InputTotal() int64 { return u.Input + u.CacheRead + u.CacheWrite }

// OutputTotal is all tokens of the completion.
func (u Usage) OutputTotal() int64 { return u.Output + u.Reasoning }

// Total is every token of the call.
func (u Usage) Total() int64 { return u.InputTotal() + u.OutputTotal() }

// Add returns the sum of both.
func (u Usage) Add(v Usage) Usage {
	u.Input += v.Input
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.Output += v.Output
	u.Reasoning += v.Reasoning
	u.Estimated = u.Estimated || v.Estimated
	return u
}
