package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// EstimateInput guesses how many tokens the prompt of a request is, for reservations only: a fourth of its
// bytes of text, one for each token id, and a flat count for each image or recording that it holds. What it
// counts is all that models read: messages, input, a prompt, tools and the schema of the answer. Check must have
// passed the body.
func EstimateInput(body []byte) int64 {
	var estimate dialect.Estimate
	var tokens int64
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "messages", "input", "prompt", "tools", "functions", "response_format":
		default:
			continue
		}
		estimate.Add(value)
		if string(name) == "input" || string(name) == "prompt" {
			tokens += tokenIDs(value)
		}
	}
	return tokens + estimate.Tokens()
}

// tokenIDs counts the tokens of an input or a prompt that was sent as ids, in one array or in several.
func tokenIDs(input []byte) int64 {
	var n int64
	for element := range dialect.Elements(input) {
		switch element[0] {
		case '"', '{':
		case '[':
			for range dialect.Elements(element) {
				n++
			}
		default:
			n++
		}
	}
	return n
}
