package anthropicapi

import (
	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Versioned is an attempt's body with edits made, and with a cloud's own name for the API's version, which has no header there. A
// client that knows it is asking that cloud may have named one.
func Versioned(attempt *gateway.Attempt, version string, edits ...dialect.Edit) []byte {
	const member = "anthropic_version"
	for name := range dialect.Members(attempt.Body) {
		if string(name) == member {
			return attempt.Splice(edits...)
		}
	}
	return attempt.Splice(append(edits, dialect.Edit{Name: member, Value: dialect.String(nil, version)})...)
}
