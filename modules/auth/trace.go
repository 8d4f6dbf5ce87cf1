package auth

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Attributes of the span of an authentication.
const (
	outcomeAttribute = attribute.Key("llm_gateway.auth.outcome") // accepted, refused or unavailable
	keyAttribute     = attribute.Key("llm_gateway.key.id")       // public
)

// identify finds the key of whoever sent a request, as one step of the call's trace.
func (a *Auth) identify(r *http.Request, shape dialect.Name) (*gateway.Key, *dialect.Error) {
	ctx, span := gateway.StartSpan(r.Context(), "llm_auth")
	defer span.End()
	key, problem := a.find(ctx, r, shape)
	if span.IsRecording() {
		traceOutcome(span, key, problem)
	}
	return key, problem
}

// traceOutcome tells who it was. That a key is refused is no failure of the gateway's.
func traceOutcome(span trace.Span, key *gateway.Key, problem *dialect.Error) {
	switch {
	case problem == nil:
		span.SetAttributes(outcomeAttribute.String("accepted"), keyAttribute.String(key.ID))
	case problem.Kind == dialect.Authentication:
		span.SetAttributes(outcomeAttribute.String("refused"))
	default:
		span.SetAttributes(outcomeAttribute.String("unavailable"))
		gateway.FailSpan(span, problem)
	}
}
