package bedrock

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

const framed = "application/vnd.amazon.eventstream"

// unwrap makes server-sent events of an answer in AWS's frames, as Anthropic's API would have sent them.
func unwrap(answer *http.Response) {
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), framed) {
		return
	}
	answer.Header.Set("Content-Type", "text/event-stream")
	answer.ContentLength = -1
	answer.Body = &unwrapped{body: answer.Body, decoder: eventstream.NewDecoder()}
}

// unwrapped reads frames and gives events.
type unwrapped struct {
	body    io.ReadCloser
	decoder *eventstream.Decoder

	payload []byte
	decoded []byte
	events  []byte // what was made of the last frame
	given   int    // how much of it is read
	err     error
}

// Read gives the next part of an event. An error comes after all events before it.
func (u *unwrapped) Read(p []byte) (int, error) {
	for u.given == len(u.events) {
		if u.err != nil {
			return 0, u.err
		}
		u.events, u.given = u.events[:0], 0
		u.err = u.frame()
	}
	n := copy(p, u.events[u.given:])
	u.given += n
	return n, nil
}

// Close ends the answer.
func (u *unwrapped) Close() error { return u.body.Close() }

// frame makes an event of the next frame.
func (u *unwrapped) frame() error {
	message, err := u.decoder.Decode((*remembered)(u), u.payload[:0])
	switch {
	case u.err != nil:
		return u.err // the connection's own
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF // also within a frame: whether the answer is complete is told by its events
	case err != nil:
		return damaged(err)
	}
	u.payload = message.Payload
	switch kind := text(message, ":message-type"); kind {
	case "event":
		return u.event(message)
	case "exception", "error":
		said := gjson.GetBytes(message.Payload, "message").Str
		if said == "" {
			said = text(message, ":error-message")
		}
		f := failureOf(text(message, ":exception-type")+text(message, ":error-code"), http.StatusInternalServerError, said)
		u.events = sse.AppendEvent(u.events, "error", f.body(said))
		return nil
	default:
		return damaged(fmt.Errorf("a frame has the message type %q", kind))
	}
}

// event takes an event of Anthropic's out of a frame. Frames of other types are for those who know them.
func (u *unwrapped) event(message eventstream.Message) error {
	if text(message, ":event-type") != "chunk" {
		return nil
	}
	encoded := gjson.GetBytes(message.Payload, "bytes").Str
	if len(encoded) > base64.StdEncoding.EncodedLen(exchange.MaxEvent) {
		return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider sent an event larger than the gateway takes"}
	}
	var err error
	if u.decoded, err = base64.StdEncoding.AppendDecode(u.decoded[:0], []byte(encoded)); err != nil {
		return damaged(fmt.Errorf("reading a chunk: %w", err))
	}
	if kind := gjson.GetBytes(u.decoded, "type").Str; kind != "" && !strings.ContainsAny(kind, "\r\n") {
		u.events = sse.AppendEvent(u.events, kind, u.decoded)
	}
	return nil
}

// damaged is the error of an answer whose frames cannot be read.
func damaged(cause error) error {
	return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer was damaged on its way", Cause: cause}
}

// text is a frame's header; "" where it has none.
func text(message eventstream.Message, name string) string {
	if value, ok := message.Headers.Get(name).(eventstream.StringValue); ok {
		return string(value)
	}
	return ""
}

// remembered is the body, of which it is known what broke it.
type remembered unwrapped

// Read reads on in the frame.
func (r *remembered) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
