package gateway

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Provider is an upstream account: it takes one attempt at a call and answers it. Providers are Caddy
// modules in the namespace llm_gateway.providers and are safe for concurrent use.
type Provider interface {
	// Send makes one attempt. An error from Send comes before anything was answered, so it may be tried
	// again elsewhere where it says Retryable. An error from the answer's stream never may.
	// The error is a *dialect.Error, or the context's.
	Send(ctx context.Context, attempt *Attempt) (*Reply, error)
	// Dialect is the shape of bodies that Send takes and gives, unless it is a Polyglot.
	Dialect() dialect.Name
	// Models lists the provider's models, a chat model first. It may ask the network.
	Models(ctx context.Context) ([]ProviderModel, error)
	// Serves tells, without the network, whether the provider would take a model of this name.
	Serves(model string) bool
	// DefaultModel is the chat model that serves a call which names only the provider; "" where unknown.
	DefaultModel() string
}

// Polyglot is implemented by providers that take and give bodies of another dialect than their own as well.
type Polyglot interface {
	// Speaks tells, without the network, whether Send takes a dialect.
	Speaks(name dialect.Name) bool
}

// Addressed is implemented by providers that know whether they ask their vendor itself, or a server that speaks its API.
type Addressed interface {
	AtVendor() bool
}

// ProviderModel is one model that a provider lists.
type ProviderModel struct {
	ID      string
	Created int64 // Unix seconds
	OwnedBy string
}

// Attempt is what one attempt sends.
type Attempt struct {
	Operation dialect.Operation
	// Dialect is the shape of the body and of the answer; empty for the provider's own.
	Dialect dialect.Name
	// Model is the provider's own name for the model; "" where the provider is to choose, or has none to choose.
	Model string
	// Body is the client's, in the attempt's dialect, not to be changed. The provider splices the model in. It is the provider's to read
	// until Send returns: a stream that wants it for longer copies it.
	Body []byte
	// Lasting says that nobody writes to the body again, even when the call is over, as happens to a pooled one.
	Lasting bool
	// ContentType is Body's, with its boundary where it is a form; "" is JSON's.
	ContentType string
	// Method is the HTTP method; "" is POST. Resource is what follows the operation's own path. Only calls about files have them.
	Method, Resource string
	// Stream says that events are wanted as they come.
	Stream bool
	// WantUsage says that the client asked for the usage event of a stream itself; else the provider asks for
	// it and takes it out of what the client gets.
	WantUsage bool
	// Header holds the client's headers that may travel upstream; never a credential.
	Header http.Header
	// RequestID is the gateway's id of the call, for the provider's logs.
	RequestID string
	// Timeouts bound the attempt where the provider's own config says nothing.
	Timeouts Timeouts
}

// Timeouts bound an attempt. A zero is none of the caller's: the provider's default holds.
type Timeouts struct {
	// Connect bounds the dial and the TLS handshake, each.
	Connect time.Duration
	// FirstToken bounds the wait for the first event of a stream, and for a whole answer's head.
	FirstToken time.Duration
	// Idle bounds the wait between two events, and between two reads of a whole answer.
	Idle time.Duration
	// Total bounds the attempt, to the end of its answer.
	Total time.Duration
}

// Splice is the body with edits made, which may be sent for as long as a transport wants to: the body itself where they change nothing
// and it lasts, else a copy. See dialect.Splice.
func (a *Attempt) Splice(edits ...dialect.Edit) []byte {
	if a.Lasting && !dialect.Changes(a.Body, edits...) {
		return a.Body
	}
	const room = 128 // for a longer model, and stream_options
	return dialect.Splice(make([]byte, 0, len(a.Body)+room), a.Body, edits...)
}

// Reply is a successful answer: either whole, or as a stream.
type Reply struct {
	// Header holds what may travel back to the client with an answer that is passed on as it is: its type, above all. May be nil.
	Header http.Header
	// Body is the whole answer in the attempt's dialect, where Stream is nil.
	Body []byte
	// Usage is what the whole answer used.
	Usage dialect.Usage
	// Stream gives the answer's events.
	Stream Stream
}

// Stream gives the events of an answer as they arrive, in the manner of bufio.Scanner. It is used by one
// goroutine. The first event is already there when Send returns, so that an error inside a 200 is Send's.
type Stream interface {
	// Next waits for the next event and says whether there is one.
	Next() bool
	// Event is the current event as the client gets it, in wire form with its blank line; of an answer that is passed on and does
	// not come in events, the next piece of it. Valid until Next.
	Event() []byte
	// Data is the event's data, without framing; nil of a mere piece. Valid until Next.
	Data() []byte
	// Last says that the current event ends a complete answer (OpenAI's [DONE]).
	Last() bool
	// Usage is what the answer used, once the stream is over.
	Usage() dialect.Usage
	// Err is why Next said no: nil only where the answer was complete, a *dialect.Error else.
	Err() error
	io.Closer
}

// WaitingStream is implemented by streams that tell when they are about to wait, so that events which came together can leave
// together.
type WaitingStream interface {
	Stream
	// OnWait has f called before each wait for more than has come, within Next. It says whether f will be: a stream that stands
	// before another tells what that one does.
	OnWait(f func()) bool
}

// OnWait is a stream's OnWait; false where it has none.
func OnWait(s Stream, f func()) bool {
	waiting, ok := s.(WaitingStream)
	return ok && waiting.OnWait(f)
}
