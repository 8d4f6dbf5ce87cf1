package gateway

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0" // the last that has the GenAI attributes
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// tracerName is the instrumentation scope of the gateway's spans.
const tracerName = "github.com/caddy-llm/caddy-llm"

// unrecorded is the span of all steps of a call that nobody traces.
var unrecorded trace.Span = noop.Span{}

// StartSpan begins the span of one step of a call, below the span that Caddy's tracing directive made for the request; the
// caller ends it. Where no trace is recorded the context comes back as it is, with a span that does nothing, and nothing is allocated:
// callers make attributes only if the span is recording. A span holds ids and names, never a credential, a prompt or an answer.
func StartSpan(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, unrecorded
	}
	// Caddy does not make its provider OpenTelemetry's global one. The request's span is the way to it.
	tracer := parent.TracerProvider().Tracer(tracerName, trace.WithSchemaURL(semconv.SchemaURL))
	return tracer.Start(ctx, name, options...)
}

// FailSpan notes that a step failed, and the kind of its error. The message stays out, since it may quote what a client or a
// provider wrote.
func FailSpan(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, "")
	var e *dialect.Error
	switch {
	case errors.Is(err, context.Canceled):
		span.SetAttributes(semconv.ErrorTypeKey.String("canceled"))
	case errors.As(err, &e):
		span.SetAttributes(semconv.ErrorTypeKey.String(string(e.Kind)))
	default:
		span.SetAttributes(semconv.ErrorTypeOther)
	}
}
