package proxy

import (
	"net/http"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// request is a call's body, in the dialect that it came in and, where a provider speaks another, in that one too. It is read once and
// written once for each dialect, however many attempts there are.
type request struct {
	own    written
	stream bool // what the body may not say
	policy dialect.Policy
	ask    fileAsk // of a call about files

	neutral   *dialect.Request          // nil before it is needed
	embedding *dialect.EmbeddingRequest // in place of it
	fault     *dialect.Error            // why there is none
	foreign   []*written
}

// written is a request in one dialect.
type written struct {
	codec   *dialect.Codec
	model   string // that it was written for
	body    []byte
	lasting bool     // see gateway.Attempt
	dropped []string // the client's fields that were left out
	err     *dialect.Error
}

// to is the request as a target's provider takes it. The error says why that cannot be.
func (q *request) to(target *gateway.Target, surface *gateway.Surface) *written {
	if !target.Upstream().Can(surface.Needs) {
		return &written{err: surface.Lacking(target.Model)}
	}
	return q.in(target, surface.Operation)
}

// in is the request in the dialect of a target, written with its model where it has to be written. The error is of a request that cannot be read, or that the dialect cannot express.
func (q *request) in(target *gateway.Target, op dialect.Operation) *written {
	name := target.Upstream().DialectFor(q.own.codec.Name)
	if name == q.own.codec.Name {
		return &q.own
	}
	for _, w := range q.foreign {
		if w.codec.Name == name && (w.model == target.Model || name != dialect.Gemini) { // what Google's models want differs from one to another
			return w
		}
	}
	w := &written{codec: gateway.CodecOf(name), model: target.Model}
	switch {
	case w.codec == nil:
		w.err = dialect.Errorf(dialect.Internal, "the provider speaks a dialect that the gateway does not know")
		return w
	case op == dialect.Chat:
		q.write(w, target.Model)
	case op == dialect.Embeddings:
		q.writeEmbedding(w, target.Model)
	default:
		w.err = noOperation(op)
	}
	q.foreign = append(q.foreign, w)
	return w
}

func noOperation(op dialect.Operation) *dialect.Error {
	return dialect.Errorf(dialect.InvalidRequest, "this model's provider takes no %s; ask another model", op)
}

func (q *request) write(w *written, model string) {
	if q.neutral == nil && q.fault == nil {
		if q.neutral, q.fault = q.own.codec.DecodeRequest(q.own.body); q.fault == nil {
			q.neutral.Stream = q.stream
			q.neutral.IncludeUsage = false // the provider asks for it by itself, if it has to be asked for
		}
	}
	if w.err = q.fault; w.err == nil {
		q.neutral.Model, w.lasting = model, true
		w.body, w.dropped, w.err = w.codec.EncodeRequest(make([]byte, 0, len(q.own.body)+len(q.own.body)/8+512), q.neutral, q.policy)
	}
}

// upstreamHeader are the client's headers that travel to the provider: of those that are a dialect's own, where it speaks that.
func upstreamHeader(client http.Header, from, to dialect.Name) http.Header {
	var header http.Header
	for _, h := range [...]struct {
		name string
		of   dialect.Name
	}{
		{"Openai-Beta", dialect.OpenAI},
		{"Openai-Beta", dialect.Responses},
		{"Anthropic-Version", dialect.Anthropic},
		{"Anthropic-Beta", dialect.Anthropic},
		{"Idempotency-Key", ""},
		{"Traceparent", ""},
		{"Tracestate", ""},
	} {
		values, ok := client[h.name]
		if !ok || h.of != "" && (h.of != from || h.of != to) {
			continue
		}
		if header == nil {
			header = make(http.Header, 4)
		}
		header[h.name] = values
	}
	return header
}

// translate gives a reply to what was written in the dialect of the call.
func (q *request) translate(w *written, reply *gateway.Reply, call *gateway.Call) (*gateway.Reply, error) {
	if q.embedding != nil {
		return q.translateEmbedding(reply, w.codec, call)
	}
	return w.translate(reply, q.own.codec, call)
}

// translate gives a provider's reply in another dialect.
func (w *written) translate(reply *gateway.Reply, to *dialect.Codec, call *gateway.Call) (*gateway.Reply, error) {
	now := time.Now()
	if reply.Stream != nil {
		stream := newTranslatedStream(reply.Stream, w.codec.NewDecoder(), to.NewEncoder(dialect.StreamOptions{IncludeUsage: call.IncludeUsage, Created: now, Asked: call.Body()}))
		stream.input = call.InputTokens
		if err := stream.open(); err != nil {
			return nil, err
		}
		return &gateway.Reply{Header: reply.Header, Stream: stream}, nil
	}
	answer, err := w.codec.DecodeAnswer(reply.Body)
	if err != nil {
		return nil, err
	}
	if answer.Created == 0 {
		answer.Created = now.Unix()
	}
	answer.Asked = call.Body()
	body, err := to.EncodeAnswer(make([]byte, 0, len(reply.Body)+len(reply.Body)/8+256), answer)
	if err != nil {
		return nil, err
	}
	return &gateway.Reply{Header: reply.Header, Body: body, Usage: reply.Usage}, nil
}
