// Package responses is the wire format of OpenAI's Responses API, as its clients speak it: requests in, answers and
// streams of events out. Providers that speak it themselves are sent a client's bytes as they are, so that nothing
// has to be written for them, and of their answers only what the gateway counts is read. Errors are those of package
// openai.
//
// The format is that of https://platform.openai.com/docs/api-reference/responses. What the API keeps between calls
// exists at the provider that kept it, and in no other dialect.
package responses

import (
	"math"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Request is what the gateway needs to know of a request.
type Request struct {
	Model  string
	Stream bool
	// MaxTokens is the most output tokens that the call may cost; zero where it has no cap.
	MaxTokens int64
	// Repeatable says that the same call is meant to get the same answer: at temperature 0, where the client neither asks that
	// the answer is stored nor adds it to a conversation.
	Repeatable bool
}

// maxCap bounds a cap on tokens. It is far beyond what any model does.
const maxCap = 1 << 40

// Peek reads a request in one pass over its top-level members. Check must have passed the body. An error says which
// member the gateway cannot do without, cannot read or cannot serve; all others are the provider's to judge.
func Peek(body []byte) (Request, *dialect.Error) {
	var p peek
	for name, value := range dialect.Members(body) {
		if string(value) == "null" {
			continue
		}
		if err := p.member(name, value); err != nil {
			return Request{}, err
		}
	}
	if p.request.Model == "" {
		return Request{}, dialect.Missing("model", "name the model to use")
	}
	if !p.hasInput {
		return Request{}, dialect.Missing("input", "there is nothing to answer")
	}
	p.request.Repeatable = p.frozen && !p.stored
	return p.request, nil
}

type peek struct {
	request  Request
	hasInput bool
	frozen   bool // at temperature 0
	stored   bool // the client wants the answer to be kept
}

func (p *peek) member(name, value []byte) *dialect.Error {
	r := &p.request
	switch string(name) {
	case "model":
		return readText(&r.Model, "model", value)
	case "input":
		if value[0] != '"' && value[0] != '[' {
			return dialect.Mistyped("input", "a string or an array of items")
		}
		p.hasInput = true
	case "conversation":
		p.stored = true
		p.hasInput = true
	case "prompt", "previous_response_id":
		p.hasInput = true
	case "stream":
		var f dialect.Flag
		err := readFlag(&f, "stream", value)
		r.Stream = f == dialect.On
		return err
	case "max_output_tokens":
		n, err := strconv.ParseFloat(string(value), 64)
		if err != nil && !math.IsInf(n, 0) {
			return dialect.Mistyped("max_output_tokens", "an integer")
		}
		r.MaxTokens = int64(math.Ceil(min(max(n, 0), maxCap)))
	case "temperature":
		t, ok := dialect.Raw(value).Number()
		if !ok {
			return dialect.Mistyped("temperature", "a number")
		}
		p.frozen = t == 0
	case "store":
		p.stored = p.stored || string(value) == "true"
	case "background":
		if string(value) != "false" {
			return noBackground()
		}
	}
	return nil
}

// noBackground refuses a call whose answer would be fetched later: the gateway could neither give nor count it.
func noBackground() *dialect.Error {
	err := dialect.Errorf(dialect.InvalidRequest, "background cannot be used here, since this gateway does not fetch answers later: leave it out, or ask for a stream")
	err.Field, err.Code = "background", "unsupported_parameter"
	return err
}

// EstimateInput guesses how many tokens the prompt of a request is, for reservations only, of all that models read.
// What a provider adds from its own store, the gateway cannot know. Check must have passed the body.
func EstimateInput(body []byte) int64 {
	var estimate dialect.Estimate
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "instructions", "input", "tools", "text", "prompt":
			estimate.Add(value)
		}
	}
	return estimate.Tokens()
}
