package analyze

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const (
	// maxOutput bounds the model's text that is looked at, in bytes. 8,000 tokens are seldom more than 40 KiB.
	maxOutput = 1 << 20
	// maxReason bounds what is told about unfit output, in bytes.
	maxReason = 1 << 10
	// maxComplaints is how many faults of one output are told.
	maxComplaints = 10
)

var errTooDeep = errors.New("it nests too deeply")

// accept judges a chat completion: see gateway.Call.Accept. Output that does not fit is sent back once.
func (a *analysis) accept(body []byte, last bool) (answer, again []byte, failure *dialect.Error) {
	text, cut, failure := modelText(body)
	if failure != nil {
		return nil, nil, failure
	}
	data, err := a.schema.judge(text)
	if err == nil {
		return appendAnswer(nil, data, text), nil, nil
	}
	reason := clip(err.Error(), maxReason)
	if cut {
		reason = fmt.Sprintf("the output was cut off at max_tokens (%d); %s", a.req.maxTokens, reason)
	}
	if last {
		return nil, nil, unfit("the model's output is not JSON that fits the schema; details.reason says where", reason)
	}
	return nil, a.appendNative(nil, &correction{output: text, reason: reason}), nil
}

// modelText takes the model's own text out of a chat completion. cut says that it ended at the cap on tokens.
func modelText(body []byte) (text string, cut bool, failure *dialect.Error) {
	if !gjson.ValidBytes(body) {
		return "", false, dialect.Errorf(dialect.UpstreamFailed, "the provider's answer is not valid JSON")
	}
	choice := gjson.GetBytes(body, "choices.0")
	reply := choice.Get("message")
	if refusal := reply.Get("refusal"); refusal.Type == gjson.String && refusal.Str != "" {
		return "", false, unfit("the model refused to answer; details.reason has its words", clip(refusal.Str, maxReason))
	}
	finish := choice.Get("finish_reason").Str
	if finish == "content_filter" {
		return "", false, unfit("the provider's content filter stopped the model's output", finish)
	}
	return reply.Get("content").Str, finish == "length", nil
}

func unfit(message, reason string) *dialect.Error {
	return &dialect.Error{Kind: dialect.UpstreamParsing, Message: message, Details: map[string]any{"reason": reason}}
}

// judge returns the data in the model's text, without white space between its parts, where it satisfies the schema.
// The error says what is wrong, in words that the model can act upon.
func (s *schema) judge(text string) ([]byte, error) {
	if len(text) > maxOutput {
		return nil, errors.New("the output is too long")
	}
	data := jsontext.Value(unfenced(text))
	if len(data) == 0 {
		return nil, errors.New("the output is empty")
	}
	// Names twice in one object and text that is not UTF-8 mean one thing to one parser and another to the next.
	if err := data.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)); err != nil {
		return nil, fmt.Errorf("the output is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		return nil, fmt.Errorf("the output is not valid JSON: %w", err)
	}
	if err := checkBounds(doc, maxDataDepth); err != nil {
		return nil, fmt.Errorf("the output cannot be checked: %w", err)
	}
	if !affordable(s.compiled, doc) {
		return nil, errors.New("the output takes too much work to check against this schema")
	}
	if err := s.compiled.Validate(doc); err != nil {
		var complaint *jsonschema.ValidationError
		if errors.As(err, &complaint) {
			return nil, errors.New(complaints(complaint))
		}
		return nil, err
	}
	return data, nil
}

// unfenced is the text without the one Markdown fence that models like to put around JSON.
func unfenced(text string) string {
	text = strings.TrimSpace(text)
	inside, ok := strings.CutPrefix(text, "```")
	if !ok {
		return text
	}
	inside, ok = strings.CutSuffix(inside, "```")
	if !ok {
		return text
	}
	_, inside, ok = strings.Cut(inside, "\n") // the first line may name the language
	if !ok {
		return text
	}
	return strings.TrimSpace(inside)
}

var english = message.NewPrinter(language.English)

// complaints tells the faults that a validator found, a sentence each: where, and what.
func complaints(fault *jsonschema.ValidationError) string {
	var b strings.Builder
	left := maxComplaints
	tell(&b, fault, &left)
	return b.String()
}

func tell(b *strings.Builder, fault *jsonschema.ValidationError, left *int) {
	for _, cause := range fault.Causes {
		tell(b, cause, left)
	}
	if len(fault.Causes) > 0 || *left == 0 {
		return
	}
	*left--
	if b.Len() > 0 {
		b.WriteString("; ")
	}
	if len(fault.InstanceLocation) > 0 {
		b.WriteString("at /" + clip(strings.Join(fault.InstanceLocation, "/"), 100) + ": ")
	}
	b.WriteString(clip(fault.ErrorKind.LocalizedString(english), 200))
}
