package proxy

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// tracedChat makes a chat call under a recorded span.
func tracedChat(t *testing.T, p *Proxy, body string, headers ...string) (*gatewaytest.Traces, *http.Request) {
	t.Helper()
	traces := gatewaytest.NewTraces(t)
	w := httptest.NewRecorder()
	r := traces.Request(gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if err := p.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	return traces, r
}

// attributesOf are a span's, without the time to the first chunk, which it must have as it should.
func attributesOf(t *testing.T, span sdktrace.ReadOnlySpan, streams bool) map[string]any {
	t.Helper()
	attributes := gatewaytest.Attributes(span)
	if took, ok := attributes["gen_ai.response.time_to_first_chunk"].(float64); ok != streams || took < 0 || took > span.EndTime().Sub(span.StartTime()).Seconds() {
		t.Errorf("the time to the first chunk is %v of %s", took, span.EndTime().Sub(span.StartTime()))
	}
	delete(attributes, "gen_ai.response.time_to_first_chunk")
	return attributes
}

// asked are the attributes that a chat attempt at a target has from its beginning, with more.
func asked(provider, model string, stream bool, more map[string]any) map[string]any {
	attributes := map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model, "gen_ai.request.stream": stream,
	}
	maps.Copy(attributes, more)
	return attributes
}

func TestEachAttemptIsAClientSpanOfItsOwn(t *testing.T) {
	p, a, b := newProxy(t)
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		return nil, &dialect.Error{Kind: dialect.Unavailable, Message: "ping", Retryable: true, Cause: errors.New("ping")}
	}
	b.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		return &gateway.Reply{
			Body:  []byte(`{"model":"y-2026","choices":[{"index":0,"message":{"content":"pong"},"finish_reason":"stop"}]}`),
			Usage: dialect.Usage{Input: 1, CacheRead: 2, Output: 3, Reasoning: 4},
		}, nil
	}
	traces, r := tracedChat(t, p, question)
	failed, answered := traces.Span(r, "chat x"), traces.Span(r, "chat y")
	if want := asked("a", "x", false, map[string]any{"error.type": "llm_provider_unavailable"}); !reflect.DeepEqual(gatewaytest.Attributes(failed), want) {
		t.Errorf("the attempt that failed has %v", gatewaytest.Attributes(failed))
	}
	if failed.Status() != (sdktrace.Status{Code: codes.Error}) || len(failed.Events()) != 0 {
		t.Errorf("the attempt that failed has status %v, events %v", failed.Status(), failed.Events())
	}
	if want := asked("b", "y", false, map[string]any{
		"gen_ai.response.model": "y-2026", "gen_ai.response.finish_reasons": []string{"stop"},
		"gen_ai.usage.input_tokens": int64(3), "gen_ai.usage.output_tokens": int64(7),
		"gen_ai.usage.cache_read.input_tokens": int64(2), "gen_ai.usage.reasoning.output_tokens": int64(4),
	}); !reflect.DeepEqual(attributesOf(t, answered, false), want) {
		t.Errorf("the attempt that answered has %v", gatewaytest.Attributes(answered))
	}
	if failed.SpanKind() != trace.SpanKindClient || answered.SpanKind() != trace.SpanKindClient || answered.Status().Code != codes.Unset {
		t.Errorf("the kinds are %s and %s, the status %v", failed.SpanKind(), answered.SpanKind(), answered.Status())
	}
}

func TestAStreamsAttemptLastsUntilItsEnd(t *testing.T) {
	broken := dialect.Errorf(dialect.UpstreamFailed, "pong")
	counted := map[string]any{"gen_ai.usage.input_tokens": int64(3), "gen_ai.usage.output_tokens": int64(2)}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, counted)
		return asked("a", "x", true, more)
	}
	for name, tt := range map[string]struct {
		events *events
		want   map[string]any
		status codes.Code
	}{
		"whole":  {&events{data: []string{`{"model":"x-1","choices":[]}`, first, second, "[DONE]"}}, with(map[string]any{"gen_ai.response.model": "x-1", "gen_ai.response.finish_reasons": []string{"stop"}}), codes.Unset},
		"broken": {&events{data: []string{first}, err: broken}, with(map[string]any{"error.type": "llm_error"}), codes.Error},
		"left":   {&events{data: []string{first}, err: context.Canceled}, with(map[string]any{"error.type": "canceled"}), codes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, _ := newProxy(t)
			a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
				return &gateway.Reply{Stream: tt.events}, nil
			}
			traces, r := tracedChat(t, p, streamed)
			span := traces.Span(r, "chat x")
			if got := attributesOf(t, span, true); !reflect.DeepEqual(got, tt.want) || span.Status() != (sdktrace.Status{Code: tt.status}) {
				t.Errorf("it has %v, status %v", got, span.Status())
			}
			if !tt.events.closed {
				t.Error("the stream was not closed")
			}
		})
	}
}

func TestAStreamThatIsClosedEarlyIsCanceled(t *testing.T) {
	traces := gatewaytest.NewTraces(t)
	r := traces.Request(httptest.NewRequest(http.MethodPost, "/", nil))
	_, span := startAttempt(r.Context(), "a", &gateway.Attempt{Operation: dialect.Chat, Model: "x", Stream: true})
	reply := &gateway.Reply{Stream: &events{data: []string{first, second, "[DONE]"}}}
	traceReply(span, gateway.CodecOf(dialect.OpenAI), reply, nil, 0)
	reply.Stream.Next()
	if len(traces.Names()) != 0 {
		t.Fatal("the span is over before the stream is")
	}
	reply.Stream.Close() //nolint:errcheck // it has no error
	if got := gatewaytest.Attributes(traces.Span(r, "chat x")); got["error.type"] != "canceled" {
		t.Errorf("it has %v", got)
	}
}

func TestTheProviderGetsTheTraceContextOfItsAttempt(t *testing.T) {
	p, a, b := newProxy(t)
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		return nil, &dialect.Error{Kind: dialect.Unavailable, Retryable: true}
	}
	const clients = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traces, r := tracedChat(t, p, question, "Traceparent", clients, "Tracestate", "other=1", "Openai-Beta", "x")
	for name, provider := range map[string]*scripted{"chat x": a, "chat y": b} {
		sc := traces.Span(r, name).SpanContext()
		header := provider.sent[0].Header
		if got, want := header.Get("Traceparent"), "00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-01"; got != want {
			t.Errorf("%s: sent is %s, want %s", name, got, want)
		}
		if header.Get("Tracestate") != "" || header.Get("Openai-Beta") != "x" {
			t.Errorf("%s: sent is %v", name, header)
		}
	}
	if r.Header.Get("Traceparent") != clients || r.Header.Get("Tracestate") != "other=1" {
		t.Errorf("the client's own headers are changed: %v", r.Header)
	}
	if tracedChat(t, p, strings.Replace(question, "both", "b/y", 1)); b.sent[1].Header.Get("Traceparent") == "" {
		t.Errorf("without any header of the client's, sent is %v", b.sent[1].Header)
	}
}

func TestWithoutTracingTheProviderGetsTheClientsTraceContext(t *testing.T) {
	p, a, _ := newProxy(t)
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(question))
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.Header.Set("Tracestate", "other=1")
	if err := p.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if got := a.sent[0].Header.Get(name); got != r.Header.Get(name) {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestNamesInASpanAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	for _, name := range []string{long, "x" + long} {
		if got := traced(name); len(got) > maxTraced || len(got) < maxTraced-3 || !strings.HasPrefix(name, got) {
			t.Errorf("%d bytes are left", len(got))
		}
	}
	if traced("gpt-5") != "gpt-5" {
		t.Error("a short name is changed")
	}
}

func TestAnUntracedAttemptAllocatesNothingForIt(t *testing.T) {
	r := gatewaytest.Request(httptest.NewRecorder(), http.MethodPost, "/v1/chat/completions", nil)
	a := &gateway.Attempt{Operation: dialect.Chat, Model: "x"}
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := startAttempt(r.Context(), "a", a)
		if span.IsRecording() || ctx != r.Context() {
			t.Fatal("there is a span")
		}
	}); n != 0 || a.Header != nil {
		t.Errorf("it allocates %v times, header %v", n, a.Header)
	}
}

// BenchmarkAttempt measures a chat call from the proxy on, with a provider that answers at once.
func BenchmarkAttempt(b *testing.B) {
	p, _, _ := newProxy(b)
	traces, _ := sdktrace.NewTracerProvider().Tracer("test").Start(b.Context(), "request") // kept nowhere
	for name, span := range map[string]trace.Span{"untraced": nil, "traced": trace.SpanFromContext(traces)} {
		b.Run(name, func(b *testing.B) {
			w := httptest.NewRecorder()
			r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(question))
			if span != nil {
				r = r.WithContext(trace.ContextWithSpan(r.Context(), span))
			}
			call := p.app.Enter(w, r)
			defer call.Leave()
			if err := call.Parse(r); err != nil {
				b.Fatal(err)
			}
			if err := call.Resolve(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.attempts(r, call, call.Body()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
