package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans as any OpenTelemetry collector does, by OTLP over HTTP.
type collector struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	bytes bytes.Buffer // all that was exported, as it came
	spans []*tracepb.Span
	scope map[string]string // the instrumentation scope, by span id
	from  map[string]any    // the resource's attributes
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, scope: make(map[string]string)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the gateway ended
		}
		var export collectorpb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &export); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s got what is no export of spans: %v", r.URL.Path, err)
		}
		c.take(body, &export)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(body []byte, export *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes.Write(body)
	for _, resource := range export.ResourceSpans {
		c.from = attributesOf(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, span)
				c.scope[hex.EncodeToString(span.SpanId)] = scope.Scope.Name
			}
		}
	}
}

// env is what a gateway's environment needs to export here, and soon.
func (c *collector) env() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_SERVICE_NAME=gateway-under-test", "OTEL_BSP_SCHEDULE_DELAY=20"}
}

// exported is all that was exported so far, as it came.
func (c *collector) exported() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bytes.Bytes())
}

// traceTree is one request's span and those below it, in the order of their ends.
type traceTree struct {
	*tracepb.Span
	below []*tracepb.Span
}

// traced waits for the whole trace below a span of the client's. The server's span ends last, so the others are there by then.
func (c *collector) traced(parent traceparent) traceTree {
	c.t.Helper()
	var found traceTree
	poll(c.t, 20*time.Second, "the trace of "+parent.String(), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = traceTree{}
		for _, span := range c.spans {
			switch {
			case !bytes.Equal(span.TraceId, parent.trace):
			case bytes.Equal(span.ParentSpanId, parent.span):
				found.Span = span
			default:
				found.below = append(found.below, span)
			}
		}
		return found.Span != nil
	})
	slices.SortStableFunc(found.below, func(a, b *tracepb.Span) int { return int(a.EndTimeUnixNano) - int(b.EndTimeUnixNano) })
	return found
}

// names are those of the spans below the server's. Each must be its child, within its time, and of the gateway's scope.
func (c *collector) names(trace traceTree) []string {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(trace.below))
	for _, span := range trace.below {
		names = append(names, span.Name)
		if !bytes.Equal(span.ParentSpanId, trace.SpanId) {
			c.t.Errorf("%s is not a child of the server's span", span.Name)
		}
		if span.StartTimeUnixNano < trace.StartTimeUnixNano || span.EndTimeUnixNano > trace.EndTimeUnixNano || span.EndTimeUnixNano < span.StartTimeUnixNano {
			c.t.Errorf("%s is not within the time of the server's span", span.Name)
		}
		if scope := c.scope[hex.EncodeToString(span.SpanId)]; scope != "github.com/caddy-llm/caddy-llm" {
			c.t.Errorf("%s is of the scope %q", span.Name, scope)
		}
	}
	return names
}

// span is the one span of a name below the server's.
func (c *collector) span(trace traceTree, name string) *tracepb.Span {
	c.t.Helper()
	for _, span := range trace.below {
		if span.Name == name {
			return span
		}
	}
	c.t.Fatalf("there is no span %q", name)
	return nil
}

// attributesOf are attributes by their keys.
func attributesOf(attributes []*commonpb.KeyValue) map[string]any {
	found := make(map[string]any)
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			found[a.Key] = v.StringValue
		case *commonpb.AnyValue_BoolValue:
			found[a.Key] = v.BoolValue
		case *commonpb.AnyValue_IntValue:
			found[a.Key] = v.IntValue
		case *commonpb.AnyValue_DoubleValue:
			found[a.Key] = v.DoubleValue
		case *commonpb.AnyValue_ArrayValue:
			var texts []string
			for _, element := range v.ArrayValue.Values {
				texts = append(texts, element.GetStringValue())
			}
			found[a.Key] = texts
		}
	}
	return found
}

// traceparent is a trace context as it travels in a header.
type traceparent struct{ trace, span []byte }

func (p traceparent) String() string { return fmt.Sprintf("00-%x-%x-01", p.trace, p.span) }
