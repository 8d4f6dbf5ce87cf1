package exchange

import (
	"bytes"
	"io"
	"net/http/httptrace"
	"sync"
)

// payload is the body of a request. A transport may read it for as long as it wants to, beside the answer too, and more than once; it keeps the
// request until the answer's end. An answer that goes on for long need not keep the body: see free.
type payload struct {
	mu      sync.Mutex
	body    []byte
	readers []*bytes.Reader
	sent    int // readers that were read to their end, and never will be again
}

// open gives a reader of the whole, as http.Request.GetBody has it. It is of a type which net/http knows not to block, so that a short body
// leaves together with the head, in one write.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reader := bytes.NewReader(p.body)
	p.readers = append(p.readers, reader)
	return io.NopCloser(reader), nil
}

// wrote is told of each time that the transport is done with a request, as httptrace.ClientTrace.WroteRequest has it.
func (p *payload) wrote(end httptrace.WroteRequestInfo) {
	if end.Err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
}

// free lets go of the body once the answer has begun, so that nothing sends it again. It stays where a part of it may not be sent yet, for a
// server may answer before it has read everything.
func (p *payload) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent != len(p.readers) {
		return
	}
	p.body = nil
	for _, reader := range p.readers {
		reader.Reset(nil)
	}
}
