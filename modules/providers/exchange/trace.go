package exchange

import (
	"context"
	"net/url"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// traceServer tells the attempt's span which of the provider's addresses is asked.
func traceServer(ctx context.Context, base *url.URL) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	port, err := strconv.Atoi(base.Port())
	switch {
	case err == nil:
	case base.Scheme == "http":
		port = 80
	default:
		port = 443
	}
	span.SetAttributes(semconv.ServerAddress(base.Hostname()), semconv.ServerPort(port))
}
