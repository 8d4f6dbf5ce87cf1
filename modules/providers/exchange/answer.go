package exchange

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const (
	// maxAnswer bounds a whole answer, in bytes.
	maxAnswer = 64 << 20
	// maxErrorBody bounds how much of an error's body is read, in bytes.
	maxErrorBody = 64 << 10
)

var errTooLong = dialect.Errorf(dialect.UpstreamFailed, "the provider's answer is larger than %d MiB", maxAnswer>>20)

// readAnswer takes a whole answer in, within bounds of size and silence.
func readAnswer(ctx context.Context, w *watch, resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxAnswer {
		return nil, errTooLong
	}
	size := resp.ContentLength + 1
	if size <= 0 {
		size = 16 << 10
	}
	body := make([]byte, 0, size)
	for {
		w.wait()
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxAnswer:
			return nil, errTooLong
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, transportError(ctx, fmt.Errorf("reading the answer: %w", err))
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}
