// Package gemini is the wire format of Google's Gemini API, version v1beta: the requests, answers, streams and
// errors of generateContent and streamGenerateContent. It works on bytes, and knows no network and no provider.
//
// The format is that of https://ai.google.dev/api/generate-content.
package gemini

import (
	"math"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Request is what the gateway needs to know of a request beside its address, which has the model.
type Request struct {
	// MaxTokens is the most output tokens that the call may cost: the bound times the number of candidates. Zero
	// where it has no bound.
	MaxTokens int64
	// Choices is how many candidates are wanted, at least 1.
	Choices        int64
	Temperature    float64
	HasTemperature bool
	// HasSeed says that the client wants its answers to repeat as far as the provider can.
	HasSeed bool
	// Store says that the provider is to keep the answer, so that the call does more than answer.
	Store bool
	// Repeatable says that the same call is meant to get the same answer: embeddings, and a single candidate at
	// temperature 0 that nobody stores.
	Repeatable bool
}

// Bounds on numbers of a request. They are far beyond what any model does and keep products from overflowing.
const (
	maxCap     = 1 << 40
	maxChoices = 1 << 20
)

// Peek reads a request for an operation in one pass over its top-level members and its generationConfig. Check must
// have passed the body. An error says which member the gateway cannot do without, or cannot read; all others are the
// provider's to judge.
func Peek(op dialect.Operation, body []byte) (Request, *dialect.Error) {
	r := Request{Choices: 1}
	input := "contents"
	if op == dialect.Embeddings {
		input = "content"
	}
	hasInput := false
	for name, value := range fields(body) {
		switch string(name) {
		case input:
			if hasInput = isList(value) || input == "content" && value[0] == '"'; !hasInput {
				return Request{}, dialect.Mistyped(input, "an array")
			}
		case "requests": // of batchEmbedContents
			hasInput = hasInput || op == dialect.Embeddings && isList(value)
		case "generateContentRequest": // of countTokens, in place of its contents
			hasInput = hasInput || op == dialect.CountTokens && value[0] == '{'
		case "generationConfig":
			if err := r.config(value); err != nil {
				return Request{}, err
			}
		case "store":
			r.Store = string(value) == "true"
		}
	}
	if !hasInput {
		return Request{}, dialect.Missing(input, "there is nothing to answer")
	}
	switch r.MaxTokens *= r.Choices; op {
	case dialect.Chat:
		r.Repeatable = r.HasTemperature && r.Temperature == 0 && r.Choices == 1 && !r.Store
	case dialect.Embeddings:
		r.Repeatable = true
	}
	return r, nil
}

func (r *Request) config(value []byte) *dialect.Error {
	for name, value := range fields(value) {
		n, isNumber := dialect.Raw(value).Number()
		switch string(name) {
		case "maxOutputTokens":
			if !isNumber {
				return dialect.Mistyped(names[dialect.ParamMaxTokens], "an integer")
			}
			r.MaxTokens = int64(math.Ceil(min(max(n, 0), maxCap)))
		case "candidateCount":
			if !isNumber {
				return dialect.Mistyped(names[dialect.ParamChoices], "an integer")
			}
			r.Choices = int64(math.Ceil(min(max(n, 1), maxChoices)))
		case "temperature":
			if !isNumber {
				return dialect.Mistyped(names[dialect.ParamTemperature], "a number")
			}
			r.Temperature, r.HasTemperature = n, true
		case "seed":
			r.HasSeed = true
		}
	}
	return nil
}

// EstimateInput guesses how many tokens the prompt of a request is, for reservations only: see dialect.Estimate.
// What it counts is all that models read: contents, system instruction, tools and the schema of the answer. Check
// must have passed the body.
func EstimateInput(body []byte) int64 {
	var estimate dialect.Estimate
	for name, value := range fields(body) {
		switch string(name) {
		case "contents", "systemInstruction", "tools", "generationConfig", "content", "requests", "generateContentRequest":
			estimate.Add(value)
		}
	}
	return estimate.Tokens()
}
