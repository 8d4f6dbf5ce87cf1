package proxy

import (
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// writeEmbedding writes a request for vectors in a dialect, with a target's model.
func (q *request) writeEmbedding(w *written, model string) {
	if q.own.codec.Embeddings == nil || w.codec.Embeddings == nil {
		w.err = noOperation(dialect.Embeddings)
		return
	}
	if q.embedding == nil && q.fault == nil {
		q.embedding, q.fault = q.own.codec.Embeddings.DecodeRequest(q.own.body)
	}
	if w.err = q.fault; w.err == nil {
		q.embedding.Model, w.lasting = model, true
		w.body, w.dropped, w.err = w.codec.Embeddings.EncodeRequest(make([]byte, 0, len(q.own.body)+len(q.own.body)/8+512), q.embedding, q.policy)
	}
}

var errVectors = errors.New("there are not as many vectors as texts")

// translateEmbedding gives a provider's vectors in the dialect of the call.
func (q *request) translateEmbedding(reply *gateway.Reply, from *dialect.Codec, call *gateway.Call) (*gateway.Reply, error) {
	answer, err := from.Embeddings.DecodeAnswer(reply.Body)
	if err != nil {
		return nil, err
	}
	if len(answer.Vectors) != len(q.embedding.Texts) {
		return nil, dialect.Unreadable(errVectors)
	}
	if answer.Model == "" {
		answer.Model = call.Upstream
	}
	answer.Usage, answer.HasUsage = used(call, reply), true
	body, err := q.own.codec.Embeddings.EncodeAnswer(make([]byte, 0, len(reply.Body)+256), answer, q.embedding)
	if err != nil {
		return nil, err
	}
	return &gateway.Reply{Header: reply.Header, Body: body, Usage: answer.Usage}, nil
}

// used is what a whole answer used. Of embeddings it is an estimate where the provider does not tell, as Google's does not.
func used(call *gateway.Call, reply *gateway.Reply) dialect.Usage {
	if call.Surface.Operation == dialect.Embeddings && reply.Usage == (dialect.Usage{}) {
		return dialect.Usage{Input: call.InputTokens, Estimated: true}
	}
	return reply.Usage
}
