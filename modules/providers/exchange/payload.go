package exchange

import (
	"io"
	"net/http"
	"sync"
)

// payload is the body of a request. A transport may read it for as long as it wants to, beside the answer too, and more than once; it keeps the
// request until the answer's end. An answer that goes on for long need not keep the body: see free.
type payload struct {
	mu      sync.Mutex
	body    []byte
	reading int // readers that may still want some of it
}

type payloadReader struct {
	of    *payload
	at    int
	ended bool
}

// open gives a reader of the whole, as http.Request.GetBody has it.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading++
	return &payloadReader{of: p}, nil
}

// Read reads on.
func (r *payloadReader) Read(to []byte) (int, error) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.ended {
		return 0, io.EOF
	}
	n := copy(to, r.of.body[r.at:])
	if r.at += n; r.at == len(r.of.body) {
		r.end()
	}
	return n, nil
}

// Close ends the reading.
func (r *payloadReader) Close() error {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.end()
	return nil
}

func (r *payloadReader) end() {
	if !r.ended {
		r.ended = true
		r.of.reading--
	}
}

// freePayload lets go of a request's body once its answer has begun, so that nothing sends it again. It stays where a part of it is not
// sent yet, for a server may answer before it has read everything.
func freePayload(r *http.Request) {
	reader, ok := r.Body.(*payloadReader)
	if !ok {
		return
	}
	p := reader.of
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading == 0 {
		p.body = nil
	}
}
