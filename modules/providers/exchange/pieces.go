package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// pieceSize is how much of an answer is passed on at once, in bytes.
const pieceSize = 32 << 10

// pieces gives an answer of any type as it comes. It is a gateway.Stream without events.
type pieces struct {
	ctx   context.Context
	watch *watch
	resp  *http.Response

	buf   []byte
	piece []byte
	first bool // the piece was read ahead
	err   error
}

// openPieces waits for the first piece, so that a connection which breaks before it is a failure that may be tried elsewhere.
func openPieces(ctx context.Context, w *watch, resp *http.Response) (*pieces, error) {
	p := &pieces{ctx: ctx, watch: w, resp: resp, buf: make([]byte, pieceSize)}
	p.read()
	if len(p.piece) == 0 && p.err != io.EOF {
		resp.Body.Close()
		var e *dialect.Error
		if errors.As(p.err, &e) {
			e.Retryable = true
		}
		return nil, p.err
	}
	p.first = true
	return p, nil
}

// Next waits for the next piece.
func (p *pieces) Next() bool {
	if p.first {
		p.first = false
		return len(p.piece) > 0
	}
	if p.piece = nil; p.err != nil {
		return false
	}
	p.watch.wait()
	p.read()
	return len(p.piece) > 0
}

// read reads until there is a piece, or none will come.
func (p *pieces) read() {
	for n := 0; n == 0 && p.err == nil; {
		var err error
		n, err = p.resp.Body.Read(p.buf)
		p.piece = p.buf[:n]
		if err == io.EOF {
			p.err = io.EOF
		} else if err != nil {
			p.err = transportError(p.ctx, fmt.Errorf("reading the answer: %w", err))
		}
	}
	p.watch.pause()
}

// Event is the current piece.
func (p *pieces) Event() []byte { return p.piece }

// Data is nil: a piece is no event.
func (p *pieces) Data() []byte { return nil }

// Last is false: what the last piece is, only the end tells.
func (p *pieces) Last() bool { return false }

// Usage is nothing, since there is nobody to tell it.
func (p *pieces) Usage() dialect.Usage { return dialect.Usage{} }

// Err is why the answer ended; nil where it is complete.
func (p *pieces) Err() error {
	var e *dialect.Error
	switch {
	case p.err == nil, p.err == io.EOF:
		return nil
	case errors.As(p.err, &e):
		return e
	}
	return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the answer was broken off", Cause: p.err}
}

// Close ends the exchange at once.
func (p *pieces) Close() error {
	p.watch.end()
	return p.resp.Body.Close()
}

// mediaType is an answer's type without parameters; "" where it has none that can be read.
func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// passing are the headers that travel to the client with an answer that is passed on: those that say what it is. How long it is, only
// one that goes on byte by byte can say.
func (f *Format) passing(resp *http.Response, bytewise bool) http.Header {
	if f.Passes == nil {
		return nil
	}
	header := make(http.Header, 3)
	for _, name := range [...]string{"Content-Type", "Content-Disposition"} {
		if values, ok := resp.Header[name]; ok {
			header[name] = values
		}
	}
	if length, ok := resp.Header["Content-Length"]; ok && bytewise {
		header["Content-Length"] = length
	}
	return header
}
