package proxy

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// maxTraced bounds the names in a span, in bytes: a client writes the model's, and a provider what it answers.
const maxTraced = 128

// startAttempt begins the span of an attempt, by OpenTelemetry's conventions for GenAI clients, and has the provider get its trace
// context in the place of the client's. Whoever gets the span is to pass it to traceReply where it is recording.
func startAttempt(ctx context.Context, provider string, a *gateway.Attempt) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	operation, model := string(a.Operation), traced(a.Model)
	ctx, span := gateway.StartSpan(ctx, operation+" "+model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.GenAIOperationNameKey.String(operation),
		semconv.GenAIProviderNameKey.String(provider),
		semconv.GenAIRequestModel(model),
		semconv.GenAIRequestStream(a.Stream),
	))
	if a.Header == nil {
		a.Header = make(http.Header, 1)
	}
	delete(a.Header, "Tracestate") // what it adds to another parent means nothing below this one
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(a.Header))
	return ctx, span
}

// traceReply ends an attempt's span with what came of it. Where that is a stream, the span goes on until it is closed.
func traceReply(span trace.Span, codec *dialect.Codec, reply *gateway.Reply, err error, took time.Duration) {
	switch {
	case err != nil:
		gateway.FailSpan(span, err)
	case reply.Stream != nil:
		span.SetAttributes(semconv.GenAIResponseTimeToFirstChunk(took.Seconds()))
		reply.Stream = &tracedStream{Stream: reply.Stream, codec: codec, span: span}
		return
	default:
		var outcome dialect.Outcome
		if codec != nil {
			codec.ReadOutcome(&outcome, reply.Body)
		}
		traceAnswer(span, outcome, reply.Usage)
	}
	span.End()
}

// tracedStream reads along what a stream tells of itself, for the span of its attempt.
type tracedStream struct {
	gateway.Stream
	codec   *dialect.Codec // the provider's
	span    trace.Span
	outcome dialect.Outcome
	over    bool
}

// Next waits for the next event.
func (s *tracedStream) Next() bool {
	if !s.Stream.Next() {
		s.over = true
		return false
	}
	if s.codec != nil && !s.Last() {
		s.codec.ReadOutcome(&s.outcome, s.Data())
	}
	return true
}

// OnWait has f called before the provider's next event is waited for.
func (s *tracedStream) OnWait(f func()) bool { return gateway.OnWait(s.Stream, f) }

// Close ends the span. A stream that is closed before it was over is one whose client left.
func (s *tracedStream) Close() error {
	err := s.Err()
	if !s.over {
		err = context.Canceled
	}
	if err != nil {
		gateway.FailSpan(s.span, err)
	}
	traceAnswer(s.span, s.outcome, s.Usage())
	s.span.End()
	return s.Stream.Close()
}

// traceAnswer tells who answered, why the answer ended, and what it used.
func traceAnswer(span trace.Span, outcome dialect.Outcome, usage dialect.Usage) {
	if outcome.Model != "" {
		span.SetAttributes(semconv.GenAIResponseModel(traced(outcome.Model)))
	}
	if len(outcome.Reasons) > 0 {
		for i, reason := range outcome.Reasons {
			outcome.Reasons[i] = traced(reason)
		}
		span.SetAttributes(semconv.GenAIResponseFinishReasons(outcome.Reasons...))
	}
	if usage == (dialect.Usage{}) {
		return
	}
	span.SetAttributes(semconv.GenAIUsageInputTokens(int(usage.InputTotal())), semconv.GenAIUsageOutputTokens(int(usage.OutputTotal())))
	if usage.CacheRead > 0 {
		span.SetAttributes(semconv.GenAIUsageCacheReadInputTokens(int(usage.CacheRead)))
	}
	if usage.Reasoning > 0 {
		span.SetAttributes(semconv.GenAIUsageReasoningOutputTokens(int(usage.Reasoning)))
	}
}

// traced is a name as a span may hold it.
func traced(name string) string {
	if len(name) > maxTraced {
		return strings.ToValidUTF8(name[:maxTraced], "")
	}
	return name
}
