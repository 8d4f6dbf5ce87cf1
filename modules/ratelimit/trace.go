package ratelimit

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Attributes of the span of a decision.
const (
	decisionAttribute = attribute.Key("llm_gateway.limit.decision") // admitted or refused
	scopeAttribute    = attribute.Key("llm_gateway.limit.scope")    // of the limit that refused
	kindAttribute     = attribute.Key("llm_gateway.limit.kind")     // of the limit that refused
)

// endSpan ends the span of a decision. That a call is refused is no failure of the gateway's.
func endSpan(span trace.Span, claims []gateway.Claim, denied int, err error) {
	defer span.End()
	switch {
	case !span.IsRecording():
	case err != nil:
		gateway.FailSpan(span, &dialect.Error{Kind: dialect.StoreUnavailable, Cause: err})
	case denied < 0:
		span.SetAttributes(decisionAttribute.String("admitted"))
	default:
		span.SetAttributes(decisionAttribute.String("refused"), scopeAttribute.String(claims[denied].Scope),
			kindAttribute.String(string(claims[denied].Limit.Kind)))
	}
}
