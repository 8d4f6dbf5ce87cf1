// Package anthropic is the wire format of Anthropic's Messages API, version 2023-06-01: its requests, answers,
// streams and errors. It works on bytes, and knows no network and no provider.
//
// The format is that of https://platform.claude.com/docs/en/api/messages.
package anthropic

import (
	"math"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Version is the value of the header anthropic-version that stands for this format.
const Version = "2023-06-01"

// Request is what the gateway needs to know of a request.
type Request struct {
	Model string
	// Stream says that the answer is wanted as events.
	Stream bool
	// MaxTokens is the most output tokens that the call may cost.
	MaxTokens      int64
	Temperature    float64
	HasTemperature bool
	// Repeatable says that the same call is meant to get the same answer: at temperature 0.
	Repeatable bool
}

// maxCap is far beyond what any model does and keeps products from overflowing.
const maxCap = 1 << 40

// Peek reads a request for an operation in one pass over its top-level members. Check must have passed the body. An error says
// which member the gateway cannot do without, or cannot read; all others are the provider's to judge.
func Peek(op dialect.Operation, body []byte) (Request, *dialect.Error) {
	var r Request
	hasMessages, hasCap := false, false
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "model":
			if err := readText(&r.Model, "model", value); err != nil {
				return Request{}, err
			}
		case "messages":
			if hasMessages = value[0] == '['; !hasMessages {
				return Request{}, dialect.Mistyped("messages", "an array")
			}
		case "stream":
			switch string(value) {
			case "true":
				r.Stream = true
			case "false", "null":
			default:
				return Request{}, dialect.Mistyped("stream", "true or false")
			}
		case "max_tokens":
			n, ok := dialect.Raw(value).Number()
			if !ok {
				return Request{}, dialect.Mistyped("max_tokens", "an integer")
			}
			r.MaxTokens, hasCap = int64(math.Ceil(min(max(n, 0), maxCap))), true
		case "temperature":
			if string(value) == "null" {
				continue
			}
			if r.Temperature, r.HasTemperature = dialect.Raw(value).Number(); !r.HasTemperature {
				return Request{}, dialect.Mistyped("temperature", "a number")
			}
		}
	}
	switch {
	case r.Model == "":
		return Request{}, dialect.Missing("model", "name the model to use")
	case !hasMessages:
		return Request{}, dialect.Missing("messages", "there is nothing to answer")
	case !hasCap && op == dialect.Chat: // counting needs none
		return Request{}, dialect.Missing("max_tokens", "say how long the answer may be")
	}
	r.Repeatable = r.HasTemperature && r.Temperature == 0
	return r, nil
}

// EstimateInput guesses how many tokens the prompt of a request is, for reservations only: see dialect.Estimate.
// What it counts is all that models read: messages, system prompt, tools and the schema of the answer. Check
// must have passed the body.
func EstimateInput(body []byte) int64 {
	var estimate dialect.Estimate
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "messages", "system", "tools", "output_config":
			estimate.Add(value)
		}
	}
	return estimate.Tokens()
}
