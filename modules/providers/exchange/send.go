package exchange

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Format is how an API answers.
type Format struct {
	// ParseError makes an error of an answer that is none.
	ParseError func(status int, header func(name string) string, body []byte) error
	// IsError tells an error inside a 200 from an answer.
	IsError func(body []byte) bool
	// UsageOf reads what a whole answer used.
	UsageOf func(answer []byte) (dialect.Usage, bool)
	// Unwrap, where set, turns an answer that a cloud has wrapped in a framing of its own into the API's own events, in place.
	Unwrap func(answer *http.Response)
	// Reader makes a reader of one stream's events.
	Reader func(header func(name string) string) Reader
	// MaxEvent bounds one event of a stream, in bytes. Default: MaxEvent.
	MaxEvent int
	// Passes says of which media types an answer goes on in pieces as they come, whatever they are; nil where it is always JSON.
	Passes func(mediaType string) bool
}

// Send makes one attempt: it sends a body and takes the answer in, or the first event or piece of it. ref is an escaped path below the API's
// address, perhaps with a query.
func (c *Client) Send(ctx context.Context, ref string, body []byte, attempt *gateway.Attempt, format *Format) (*gateway.Reply, error) {
	ctx, w := c.watch(ctx, attempt)
	reply, err := c.send(ctx, w, ref, body, attempt, format)
	if err != nil {
		w.end()
		return nil, err
	}
	if reply.Stream == nil {
		w.end()
	}
	return reply, nil
}

func (c *Client) send(ctx context.Context, w *watch, ref string, body []byte, attempt *gateway.Attempt, format *Format) (*gateway.Reply, error) {
	resp, question, err := c.request(ctx, ref, body, attempt)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated { // as some servers say of a file
		defer resp.Body.Close()
		refusal, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what could be read is judged
		return nil, format.ParseError(resp.StatusCode, resp.Header.Get, refusal)
	}
	if format.Unwrap != nil {
		format.Unwrap(resp)
	}
	if attempt.Stream && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		s, err := openStream(ctx, w, resp, format)
		if err != nil {
			return nil, err
		}
		question.free()
		return &gateway.Reply{Header: format.passing(resp, false), Stream: s}, nil
	}
	if format.Passes != nil && format.Passes(mediaType(resp)) {
		s, err := openPieces(ctx, w, resp)
		if err != nil {
			return nil, err
		}
		question.free()
		return &gateway.Reply{Header: format.passing(resp, true), Stream: s}, nil
	}
	defer resp.Body.Close()
	answer, err := readAnswer(ctx, w, resp)
	if err != nil {
		return nil, err
	}
	if err := dialect.Check(answer); err != nil {
		return nil, &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the provider's answer is not valid JSON", Retryable: true, Cause: err}
	}
	if format.IsError(answer) {
		return nil, format.ParseError(http.StatusBadGateway, resp.Header.Get, answer)
	}
	usage, _ := format.UsageOf(answer)
	return &gateway.Reply{Header: format.passing(resp, false), Body: answer, Usage: usage}, nil
}
