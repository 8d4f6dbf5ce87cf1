package openai

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const (
	bytesPerToken = 4    // of English text, by OpenAI's rule of thumb
	mediaTokens   = 1000 // of an image or a recording, about what a large image costs
	mediaProbe    = 512  // bytes that tell text and encoded media apart
)

// EstimateInput guesses how many tokens the prompt of a request is, for reservations only: a fourth of its
// bytes of text, one for each token id, and a flat count for each image or recording that it holds. What it
// counts is all that models read: messages, input, tools and the schema of the answer. Check must have passed
// the body.
func EstimateInput(body []byte) int64 {
	var text, tokens int64
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "messages", "input", "tools", "functions", "response_format":
		default:
			continue
		}
		for inside := range dialect.Strings(value) {
			if media(inside) {
				tokens += mediaTokens
			} else {
				text += int64(len(inside))
			}
		}
		if string(name) == "input" {
			tokens += tokenIDs(value)
		}
	}
	return tokens + (text+bytesPerToken-1)/bytesPerToken
}

// tokenIDs counts the tokens of an embedding's input that was sent as ids, in one array or in several.
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

// media tells whether a string is a data URL or bare base64, rather than text.
func media(s []byte) bool {
	if len(s) < mediaProbe {
		return false
	}
	if bytes.HasPrefix(s, []byte("data:")) {
		return true
	}
	for _, c := range s[:mediaProbe] {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '-', c == '_', c == '\\':
		default:
			return false
		}
	}
	return true
}
