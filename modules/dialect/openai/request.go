// Package openai is the wire format of OpenAI's API: chat completions and embeddings, their streams and their
// errors, and as much as the gateway has to know of what is passed on. It works on bytes, and knows no network and no
// provider.
//
// The format is that of https://platform.openai.com/docs/api-reference, with the habits of servers that
// speak it too.
package openai

import (
	"math"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Request is what the gateway needs to know of a request.
type Request struct {
	Model string
	// Stream says that the answer is wanted as events, IncludeUsage that one of them is to tell the usage.
	Stream       bool
	IncludeUsage bool
	// MaxTokens is the most output tokens that the call may cost: the largest of all its caps, times the
	// number of choices. Zero where it has no cap.
	MaxTokens int64
	// Choices is how many choices are wanted, at least 1.
	Choices        int64
	Temperature    float64
	HasTemperature bool
	// HasSeed says that the client wants its answers to repeat as far as the provider can.
	HasSeed bool
	// Store says that the provider is to keep the answer, so that the call does more than answer.
	Store bool
	// Repeatable says that the same call is meant to get the same answer: embeddings, and a single choice at
	// temperature 0 that nobody stores.
	Repeatable bool
}

// Bounds on numbers of a request. They are far beyond what any model does and keep products from overflowing.
const (
	maxCap     = 1 << 40
	maxChoices = 1 << 20
)

// Peek reads a request in one pass over its top-level members. Check must have passed the body. An error says
// which member the gateway cannot do without, or cannot read; all others are the provider's to judge.
func Peek(operation dialect.Operation, body []byte) (Request, *dialect.Error) {
	p := peek{request: Request{Choices: 1}, input: "messages", wants: '['}
	if operation == dialect.Embeddings {
		p.input, p.wants = "input", 0
	}
	for name, value := range dialect.Members(body) {
		if err := p.member(name, value); err != nil {
			return Request{}, err
		}
	}
	if p.request.Model == "" {
		return Request{}, dialect.Missing("model", "name the model to use")
	}
	if !p.hasInput {
		return Request{}, dialect.Missing(p.input, "there is nothing to answer")
	}
	r := p.request
	r.MaxTokens *= r.Choices
	r.Repeatable = operation == dialect.Embeddings || r.HasTemperature && r.Temperature == 0 && r.Choices == 1 && !r.Store
	return r, nil
}

type peek struct {
	request  Request
	input    string // the member that holds what is to be answered
	wants    byte   // how its value must begin; zero means in any way
	hasInput bool
}

func (p *peek) member(name, value []byte) *dialect.Error {
	if string(name) == p.input {
		if p.wants != 0 && value[0] != p.wants {
			return dialect.Mistyped(p.input, "an array")
		}
		p.hasInput = string(value) != "null"
		return nil
	}
	r := &p.request
	switch string(name) {
	case "model":
		model, ok := dialect.Text(value)
		if !ok {
			return dialect.Mistyped("model", "a string")
		}
		r.Model = model
	case "stream":
		if r.Stream = string(value) == "true"; !r.Stream && string(value) != "false" && string(value) != "null" {
			return dialect.Mistyped("stream", "true or false")
		}
	case "stream_options":
		for option, on := range dialect.Members(value) {
			if string(option) == "include_usage" {
				r.IncludeUsage = string(on) == "true"
			}
		}
	case "max_tokens", "max_completion_tokens", "max_output_tokens":
		n, ok := number(value)
		if !ok {
			return dialect.Mistyped(string(name), "an integer")
		}
		r.MaxTokens = max(r.MaxTokens, bounded(n, 0, maxCap))
	case "n":
		n, ok := number(value)
		if !ok {
			return dialect.Mistyped("n", "an integer")
		}
		r.Choices = bounded(n, 1, maxChoices)
	case "temperature":
		t, ok := number(value)
		if !ok {
			return dialect.Mistyped("temperature", "a number")
		}
		r.Temperature, r.HasTemperature = t, string(value) != "null"
	case "seed":
		r.HasSeed = string(value) != "null"
	case "store":
		r.Store = string(value) == "true"
	}
	return nil
}

// number reads a number; null is zero.
func number(value []byte) (float64, bool) {
	if string(value) == "null" {
		return 0, true
	}
	n, err := strconv.ParseFloat(string(value), 64)
	return n, err == nil || math.IsInf(n, 0)
}

// bounded rounds up, to an integer from least to most.
func bounded(n, least, most float64) int64 {
	return int64(math.Ceil(min(max(n, least), most)))
}
