package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// recorded is a context under a span that is recorded.
func recorded(t testing.TB, sampler sdktrace.Sampler) (context.Context, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(sampler))
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	t.Cleanup(func() { span.End() })
	return ctx, recorder
}

func TestAStepIsAChildOfTheRequestsSpanFromTheSameProvider(t *testing.T) {
	ctx, recorder := recorded(t, sdktrace.AlwaysSample())
	request := trace.SpanContextFromContext(ctx)
	inner, span := StartSpan(ctx, "step", trace.WithSpanKind(trace.SpanKindClient))
	_, within := StartSpan(inner, "within")
	within.End()
	span.End()
	ended := recorder.Ended()
	if len(ended) != 2 || ended[0].Name() != "within" || ended[1].Name() != "step" {
		t.Fatalf("recorded is %v", ended)
	}
	step := ended[1]
	if step.Parent().SpanID() != request.SpanID() || step.SpanContext().TraceID() != request.TraceID() || step.SpanKind() != trace.SpanKindClient {
		t.Errorf("the step's parent is %v, kind %s", step.Parent(), step.SpanKind())
	}
	if ended[0].Parent().SpanID() != step.SpanContext().SpanID() {
		t.Error("the step's context does not lead to the step")
	}
	if scope := step.InstrumentationScope(); scope.Name != "github.com/caddy-llm/caddy-llm" || !strings.Contains(scope.SchemaURL, "opentelemetry.io/schemas/") {
		t.Errorf("the scope is %+v", scope)
	}
}

func TestAFailureTellsItsKindAndNothingElse(t *testing.T) {
	ctx, recorder := recorded(t, sdktrace.AlwaysSample())
	const canary = "what the provider said"
	for want, err := range map[string]error{
		"llm_timeout_error": &dialect.Error{Kind: dialect.Timeout, Message: canary, Cause: errors.New(canary)},
		"canceled":          &dialect.Error{Kind: dialect.UpstreamFailed, Message: canary, Cause: context.Canceled},
		"_OTHER":            errors.New(canary),
	} {
		_, span := StartSpan(ctx, want)
		FailSpan(span, err)
		span.End()
	}
	if len(recorder.Ended()) != 3 {
		t.Fatalf("recorded is %v", recorder.Ended())
	}
	for _, span := range recorder.Ended() {
		if span.Status().Code != codes.Error || span.Status().Description != "" || len(span.Events()) != 0 ||
			!slices.Equal(span.Attributes(), []attribute.KeyValue{attribute.String("error.type", span.Name())}) {
			t.Errorf("%s: status %v, attributes %v, events %v", span.Name(), span.Status(), span.Attributes(), span.Events())
		}
	}
}

// untraced are the contexts of calls that nobody traces.
func untraced(t testing.TB) map[string]context.Context {
	t.Helper()
	unsampled, _ := recorded(t, sdktrace.NeverSample())
	remote := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	return map[string]context.Context{
		"no tracing": request(httptest.NewRecorder(), http.MethodPost, "/v1/chat/completions", nil).Context(),
		"unsampled":  unsampled,
		"remote":     remote,
	}
}

func TestACallThatNobodyTracesPaysNothing(t *testing.T) {
	failure := dialect.Errorf(dialect.Timeout, "x")
	for name, ctx := range untraced(t) {
		inner, span := StartSpan(ctx, "step")
		if inner != ctx || span.IsRecording() || span.SpanContext().IsValid() {
			t.Errorf("%s: there is a span: %v", name, span)
		}
		if n := testing.AllocsPerRun(100, func() {
			_, span := StartSpan(ctx, "step")
			FailSpan(span, failure)
			span.End()
		}); n != 0 {
			t.Errorf("%s: a step allocates %v times", name, n)
		}
		if trace.SpanFromContext(ctx).SpanContext().IsValid() != (name != "no tracing") {
			t.Errorf("%s: the context is not what it says", name)
		}
	}
}

func BenchmarkStartSpan(b *testing.B) {
	traced, span := sdktrace.NewTracerProvider().Tracer("test").Start(b.Context(), "request") // kept nowhere
	defer span.End()
	contexts := untraced(b)
	contexts["traced"] = traced
	for name, ctx := range contexts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, span := StartSpan(ctx, "step")
				span.End()
			}
		})
	}
}
