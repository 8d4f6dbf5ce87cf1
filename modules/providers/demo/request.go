package demo

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/gjson"
)

// The most choices that one request may ask for, and the most stop strings: OpenAI's own bounds.
const (
	maxChoices = 128
	maxStops   = 4
)

// chatRequest is what the demo reads of a chat completions request. The rest it takes and ignores.
type chatRequest struct {
	said         string // the last user message, or the last message where there is none
	toolSaid     string // the tool's result, where that is the last message
	afterTool    bool
	lastRole     string
	promptTokens int64

	maxTokens int64 // negative where there is no limit
	stops     []string
	choices   int

	tools      gjson.Result
	toolChoice gjson.Result
	format     gjson.Result

	seed uint64 // a hash of all that may change the answer
}

// parseChat reads a request. The body is known to be valid JSON.
func parseChat(body []byte) (*chatRequest, error) {
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return nil, invalid("", "the body must be a JSON object")
	}
	req := &chatRequest{maxTokens: -1, choices: 1}
	var messages, maxTokens, maxCompletionTokens, n, stop gjson.Result
	var hash xxhash.Digest
	hash.Reset()
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "stream", "stream_options", "user", "metadata", "model":
			return true // these do not change what is said
		case "messages":
			messages = value
		case "max_tokens":
			maxTokens = value
		case "max_completion_tokens":
			maxCompletionTokens = value
		case "n":
			n = value
		case "stop":
			stop = value
		case "tools":
			req.tools = value
		case "tool_choice":
			req.toolChoice = value
		case "response_format":
			req.format = value
		}
		hash.WriteString(key.Raw)
		hash.WriteString(value.Raw)
		return true
	})
	req.seed = hash.Sum64()

	if err := req.readMessages(messages); err != nil {
		return nil, err
	}
	if err := req.readStops(stop); err != nil {
		return nil, err
	}
	if given(n) {
		if !isCount(n) || n.Num > maxChoices {
			return nil, invalid("n", "n must be a whole number from 1 to %d", maxChoices)
		}
		req.choices = int(n.Num)
	}
	field, limit := "max_completion_tokens", maxCompletionTokens
	if !given(limit) {
		field, limit = "max_tokens", maxTokens
	}
	if given(limit) {
		if !isCount(limit) {
			return nil, invalid(field, "%s must be a whole number of at least 1", field)
		}
		req.maxTokens = limit.Int()
	}
	return req, nil
}

// given tells whether a field is there and not null.
func given(v gjson.Result) bool { return v.Type != gjson.Null }

// isCount tells whether a value is a whole number of at least one.
func isCount(v gjson.Result) bool {
	return v.Type == gjson.Number && v.Num >= 1 && v.Num < 1<<53 && v.Num == float64(int64(v.Num))
}

func (req *chatRequest) readMessages(messages gjson.Result) error {
	if !messages.IsArray() {
		return invalid("messages", "messages must be an array with at least one message")
	}
	var err error
	var lastText, userText string
	count, heardUser := 0, false
	messages.ForEach(func(_, message gjson.Result) bool {
		var role, content, toolCalls gjson.Result
		if !message.IsObject() {
			err = invalid(fmt.Sprintf("messages[%d]", count), "a message must be an object")
			return false
		}
		message.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "role":
				role = value
			case "content":
				content = value
			case "tool_calls":
				toolCalls = value
			}
			return true
		})
		switch role.Str {
		case "system", "developer", "user", "assistant", "tool", "function":
		default:
			err = invalid(fmt.Sprintf("messages[%d].role", count),
				"role must be system, developer, user, assistant or tool")
			return false
		}
		text, ok := contentText(content)
		if !ok {
			err = invalid(fmt.Sprintf("messages[%d].content", count), "content must be a string or an array of parts")
			return false
		}
		req.promptTokens += countTokens(text) + toolCallTokens(toolCalls)
		req.lastRole, lastText = role.Str, text
		if role.Str == "user" {
			heardUser, userText = true, text
		}
		count++
		return true
	})
	switch {
	case err != nil:
		return err
	case count == 0:
		return invalid("messages", "messages must hold at least one message")
	}
	req.said = lastText
	if heardUser {
		req.said = userText
	}
	if req.lastRole == "tool" || req.lastRole == "function" {
		req.afterTool, req.toolSaid = true, lastText
	}
	return nil
}

// contentText is the text of a message's content. Images, audio and files have none.
func contentText(content gjson.Result) (text string, ok bool) {
	switch {
	case content.Type == gjson.String:
		return content.Str, true
	case content.Type == gjson.Null:
		return "", true
	case !content.IsArray():
		return "", false
	}
	var parts []string
	ok = true
	content.ForEach(func(_, part gjson.Result) bool {
		if !part.IsObject() {
			ok = false
			return false
		}
		if t := part.Get("text"); t.Type == gjson.String {
			parts = append(parts, t.Str)
		}
		return true
	})
	return strings.Join(parts, "\n"), ok
}

// toolCallTokens counts the calls that an earlier answer made, which are part of the prompt now.
func toolCallTokens(calls gjson.Result) int64 {
	if !calls.IsArray() {
		return 0
	}
	var n int64
	calls.ForEach(func(_, call gjson.Result) bool {
		function := call.Get("function")
		n += countTokens(function.Get("name").Str) + countTokens(function.Get("arguments").Str)
		return true
	})
	return n
}

func (req *chatRequest) readStops(stop gjson.Result) error {
	switch {
	case !given(stop):
		return nil
	case stop.Type == gjson.String:
		req.stops = []string{stop.Str}
	case stop.IsArray():
		for _, s := range stop.Array() {
			if s.Type != gjson.String {
				return invalid("stop", "stop must be a string or an array of strings")
			}
			req.stops = append(req.stops, s.Str)
		}
	default:
		return invalid("stop", "stop must be a string or an array of strings")
	}
	if len(req.stops) > maxStops {
		return invalid("stop", "stop must hold at most %d strings", maxStops)
	}
	for _, s := range req.stops {
		if s == "" {
			return invalid("stop", "a stop string must not be empty")
		}
	}
	return nil
}
