package openai

import (
	"context"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	wire "github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange/openaiapi"
)

// maxMediaEvent bounds an event that carries a part of an image or of a recording, in bytes.
const maxMediaEvent = 32 << 20

// passedOn says whether answers to an operation are passed on whatever they are. Completions come in chunks that end as those of
// chats do, with a usage that has to be asked for in the same way.
func passedOn(operation dialect.Operation) bool {
	switch operation {
	case dialect.Chat, dialect.Embeddings, dialect.TextCompletion:
		return false
	}
	return true
}

// pass makes an attempt whose body differs from the client's in the model alone.
func (p *Provider) pass(ctx context.Context, path string, attempt *gateway.Attempt) (*gateway.Reply, error) {
	body, fault := passedBody(attempt)
	if fault != nil {
		return nil, fault
	}
	format := &mediaFormat
	if strings.HasSuffix(attempt.Resource, "/content") {
		format = &contentFormat
	}
	return p.api.Client.Send(ctx, path+attempt.Resource, body, attempt, format)
}

// passedBody is the client's body with the provider's model, where there is one.
func passedBody(attempt *gateway.Attempt) ([]byte, *dialect.Error) {
	switch {
	case attempt.Model == "":
		return attempt.Splice(), nil
	case attempt.ContentType == "":
		return attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)}), nil
	}
	return wire.SetFormModel(make([]byte, 0, len(attempt.Body)+len(attempt.Model)), attempt.ContentType, attempt.Body, attempt.Model)
}

var (
	mediaFormat = exchange.Format{
		ParseError: openaiapi.Format.ParseError, IsError: openaiapi.Format.IsError, UsageOf: wire.MediaUsageOf, MaxEvent: maxMediaEvent,
		Reader: func(header func(string) string) exchange.Reader { return &mediaReader{header: header} },
		Passes: func(mediaType string) bool { return mediaType != "application/json" },
	}
	// contentFormat is of a file's content, which is not the server's answer even where it is JSON.
	contentFormat = exchange.Format{ParseError: openaiapi.Format.ParseError, Passes: func(string) bool { return true }}
)

// mediaReader reads along with a stream of images, of sound or of a transcript.
type mediaReader struct {
	header func(name string) string
	usage  dialect.Usage
	ended  bool
}

// Read judges an event's data.
func (r *mediaReader) Read(data []byte) exchange.Verdict {
	if string(data) == "[DONE]" {
		return exchange.Verdict{Last: true}
	}
	if !gjson.ValidBytes(data) {
		return exchange.Verdict{}
	}
	if openaiapi.Format.IsError(data) {
		e := wire.ParseError(http.StatusBadGateway, r.header, data)
		e.Retryable = false // of a stream that has begun; who opens it knows better
		return exchange.Verdict{Err: e}
	}
	if usage, ok := wire.MediaUsageOf(data); ok {
		r.usage = usage
	}
	switch gjson.GetBytes(data, "type").Str {
	case "image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done":
		r.ended = true
	}
	return exchange.Verdict{Pass: true}
}

// Usage is what the provider counted.
func (r *mediaReader) Usage() dialect.Usage { return r.usage }

// Ended says whether the answer is complete: of several images each has an event that says so of it, and nothing says which is the last.
func (r *mediaReader) Ended() bool { return r.ended }
