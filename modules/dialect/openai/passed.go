package openai

import (
	"math"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// PeekPassed is Peek for requests of operations that are passed on as they are. Of those with a default at the provider the model
// may be missing.
func PeekPassed(operation dialect.Operation, body []byte) (Request, *dialect.Error) {
	p := peek{request: Request{Choices: 1}}
	best := int64(1)
	for name, value := range dialect.Members(body) {
		if err := p.member(name, value); err != nil {
			return Request{}, err
		}
		switch string(name) {
		case "best_of": // of which only n are shown, and all are paid for
			if n, ok := number(value); ok {
				best = bounded(n, 1, maxChoices)
			}
		case "stream_format":
			p.request.Stream = p.request.Stream || string(value) == `"sse"`
		}
	}
	r := p.request
	if r.Model == "" && NeedsModel(operation) {
		return Request{}, errNoModel
	}
	if operation != dialect.TextCompletion {
		r.MaxTokens, r.IncludeUsage = 0, false
	}
	r.MaxTokens *= max(r.Choices, best)
	return r, nil
}

var errNoModel = dialect.Missing("model", "name the model to use")

// NeedsModel says whether a request of an operation has to name its model. All others have a default at OpenAI.
func NeedsModel(operation dialect.Operation) bool {
	switch operation {
	case dialect.ImageGeneration, dialect.ImageEdit, dialect.ImageVariation, dialect.Moderation:
		return false
	}
	return true
}

// PeekPassedForm is PeekPassed for a request in a form.
func PeekPassedForm(operation dialect.Operation, contentType string, body []byte) (Form, *dialect.Error) {
	form, err := PeekForm(contentType, body)
	if err == nil && form.Model == "" && NeedsModel(operation) {
		err = errNoModel
	}
	return form, err
}

// MediaUsageOf reads the usage of an answer, or of an event, of the models for images and audio; false where it has none that counts
// tokens. They say input_tokens where completions say prompt_tokens, and older ones count seconds or nothing.
func MediaUsageOf(answer []byte) (dialect.Usage, bool) {
	raw := usage(answer)
	if len(raw) == 0 || raw[0] != '{' {
		return dialect.Usage{}, false
	}
	var input, output tokens
	for name, value := range dialect.Members(raw) {
		switch string(name) {
		case "input_tokens":
			input.read(value)
		case "output_tokens":
			output.read(value)
		}
	}
	if input.absurd || output.absurd || !input.told && !output.told {
		return dialect.Usage{}, false
	}
	return dialect.Usage{Input: input.n, Output: output.n}, true
}

// MediaTokens guesses how many tokens an answer of some length is for which the provider counts none: text by OpenAI's rule of thumb,
// and a token for each KiB of sound and images.
func MediaTokens(operation dialect.Operation, length int64) int64 {
	switch operation {
	case dialect.Transcription, dialect.Translation, dialect.TextCompletion:
		return (length + 3) / 4
	case dialect.Speech, dialect.ImageGeneration, dialect.ImageEdit, dialect.ImageVariation:
		return (length + 1023) / 1024
	}
	return 0
}

// FileExpiry reads when a file's object says that it goes away, in Unix seconds; zero where it stays.
func FileExpiry(object []byte) int64 {
	n := gjson.GetBytes(object, "expires_at").Num
	if !(n > 0 && n < math.MaxInt32<<1) {
		return 0
	}
	return int64(n)
}

// AppendFiles appends a page of file objects as OpenAI lists them.
func AppendFiles(dst []byte, objects [][]byte, ids []string, more bool) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, object := range objects {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, object...)
	}
	dst = append(dst, ']')
	for _, end := range [...]struct {
		name string
		at   int
	}{{"first_id", 0}, {"last_id", len(ids) - 1}} {
		dst = append(append(append(dst, `,"`...), end.name...), `":`...)
		if len(ids) == 0 {
			dst = append(dst, "null"...)
			continue
		}
		dst = dialect.String(dst, ids[end.at])
	}
	return append(strconv.AppendBool(append(dst, `,"has_more":`...), more), '}')
}
