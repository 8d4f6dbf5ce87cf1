package cache

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Names of the cache's spans: a look into the store, and a wait for somebody else's answer.
const (
	lookSpan = "llm_cache"
	waitSpan = "llm_cache wait"
)

// resultAttribute says what a look or a wait brought, in the terms of gateway.CacheResult.
const resultAttribute = attribute.Key("llm_gateway.cache.result")

// endSpan ends a span with its result: good where there is an answer, else a miss.
func endSpan(span trace.Span, found bool, good gateway.CacheResult) {
	if span.IsRecording() {
		if !found {
			good = gateway.CacheMiss
		}
		span.SetAttributes(resultAttribute.String(string(good)))
	}
	span.End()
}

// look is the call's first look for its answer, as one step of its trace.
func (c *Cache) look(ctx context.Context, call *gateway.Call, key gateway.AnswerKey, asked control) *gateway.Answer {
	ctx, span := gateway.StartSpan(ctx, lookSpan)
	answer := c.find(ctx, call, key, asked)
	endSpan(span, answer != nil, gateway.CacheHit)
	return answer
}

// lookStale is a look into the store for an answer past its time.
func lookStale(ctx context.Context, store gateway.StaleAnswerStore, key gateway.AnswerKey) (*gateway.Answer, error) {
	ctx, span := gateway.StartSpan(ctx, lookSpan)
	answer, err := store.StaleAnswer(ctx, key)
	endSpan(span, answer != nil, gateway.CacheStale)
	return answer, err
}

// await waits for an answer that another gateway makes, and looks for it.
func (c *Cache) await(ctx context.Context, leaser gateway.Leaser, key gateway.AnswerKey, asked control) *gateway.Answer {
	ctx, span := gateway.StartSpan(ctx, waitSpan)
	leaser.Await(ctx, key)
	answer := c.lookup(ctx, key, asked)
	endSpan(span, answer != nil, gateway.CacheHit)
	return answer
}

// startWait begins the wait for the answer to an identical call in progress. Its link leads to that call's trace, which has
// the attempts.
func startWait(ctx context.Context, f *flight) trace.Span {
	_, span := gateway.StartSpan(ctx, waitSpan)
	if span.IsRecording() && f.trace.IsValid() {
		span.AddLink(trace.Link{SpanContext: f.trace})
	}
	return span
}

// endWait ends it, with the failure that the call was told instead of an answer.
func endWait(span trace.Span, call *gateway.Call, served bool) {
	if call.Err != nil {
		gateway.FailSpan(span, call.Err)
	}
	endSpan(span, served, gateway.CacheCollapsed)
}
