package gatewaytest

import (
	"net/http"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Traces records the spans of requests, as a collector behind Caddy's tracing directive would.
type Traces struct {
	t        testing.TB
	recorder *tracetest.SpanRecorder
	tracer   trace.Tracer
}

// NewTraces makes a recorder without any span.
func NewTraces(t testing.TB) *Traces {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return &Traces{t: t, recorder: recorder, tracer: provider.Tracer("request")}
}

// Request puts a request under a span of its own, which ends with the test.
func (s *Traces) Request(r *http.Request) *http.Request {
	ctx, span := s.tracer.Start(r.Context(), "request")
	s.t.Cleanup(func() { span.End() })
	return r.WithContext(ctx)
}

// Span is the one span of a name that has ended below a request's. It fails the test where there are more or none.
func (s *Traces) Span(r *http.Request, name string) sdktrace.ReadOnlySpan {
	s.t.Helper()
	parent := trace.SpanContextFromContext(r.Context())
	var found sdktrace.ReadOnlySpan
	for _, span := range s.recorder.Ended() {
		if span.Name() != name || span.Parent().SpanID() != parent.SpanID() {
			continue
		}
		if found != nil {
			s.t.Fatalf("there are several spans %q", name)
		}
		found = span
	}
	if found == nil {
		s.t.Fatalf("there is no span %q", name)
	}
	return found
}

// All are the spans that have ended, in the order of their ends.
func (s *Traces) All() []sdktrace.ReadOnlySpan { return s.recorder.Ended() }

// Names are those of all spans that have ended, in the order of their ends.
func (s *Traces) Names() []string {
	names := []string{}
	for _, span := range s.recorder.Ended() {
		names = append(names, span.Name())
	}
	return names
}

// Attributes are a span's, by their keys.
func Attributes(span sdktrace.ReadOnlySpan) map[string]any {
	attributes := make(map[string]any)
	for _, a := range span.Attributes() {
		attributes[string(a.Key)] = a.Value.AsInterface()
	}
	return attributes
}
