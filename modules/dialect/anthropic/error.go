package anthropic

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Types of an error, from which clients choose their words. They choose what to do by status.
const (
	typeRequest        = "invalid_request_error"
	typeAuthentication = "authentication_error"
	typeBilling        = "billing_error"
	typePermission     = "permission_error"
	typeNotFound       = "not_found_error"
	typeTooLarge       = "request_too_large"
	typeRate           = "rate_limit_error"
	typeTimeout        = "timeout_error"
	typeOverloaded     = "overloaded_error"
	typeAPI            = "api_error"
)

// types maps a kind to an error's type. All others are typeAPI.
var types = map[dialect.Kind]string{
	dialect.InvalidJSON:      typeRequest,
	dialect.InvalidRequest:   typeRequest,
	dialect.Validation:       typeRequest,
	dialect.Authentication:   typeAuthentication,
	dialect.Permission:       typePermission,
	dialect.NotFound:         typeNotFound,
	dialect.ModelNotFound:    typeNotFound,
	dialect.MethodNotAllowed: typeRequest,
	dialect.TooLarge:         typeTooLarge,
	dialect.RateLimit:        typeRate,
	dialect.Unavailable:      typeOverloaded,
	dialect.Timeout:          typeTimeout,
}

// RequestID is the detail of an error that its body tells beside it, as request_id.
const RequestID = "request_id"

// Status is the HTTP status that this surface answers an error with. It has no 422 of its own. Where nobody can
// answer now, it says 529, as Anthropic does.
func Status(e *dialect.Error) int {
	switch e.Kind {
	case dialect.Validation:
		return http.StatusBadRequest
	case dialect.Unavailable:
		return dialect.StatusOverloaded
	}
	status := e.HTTPStatus()
	if status != dialect.StatusOverloaded && (status < 400 || http.StatusText(status) == "") {
		return http.StatusBadGateway
	}
	return status
}

// AppendError appends an error's body. A provider's own body, where the error has one in this surface's shape,
// is appended as it is. Details become further members of the error, except for RequestID.
func AppendError(dst []byte, e *dialect.Error) []byte {
	if hasError(e.Body) {
		return append(dst, e.Body...)
	}
	typ, ok := types[e.Kind]
	if !ok {
		typ = typeAPI
	}
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = append(dialect.String(dst, typ), `,"message":`...)
	dst = dialect.String(dst, e.Message)
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		value, err := json.Marshal(e.Details[name])
		if err != nil || name == "message" || name == "type" || name == RequestID {
			continue
		}
		dst = append(dialect.Member(dst, name), value...)
	}
	dst = append(dst, '}')
	if id, ok := e.Details[RequestID].(string); ok {
		dst = dialect.TextMember(dst, RequestID, id)
	}
	return append(dst, '}')
}

// AppendErrorEvent appends an error as an event, for a stream that cannot go on. No message_stop may follow it.
func AppendErrorEvent(dst []byte, e *dialect.Error) []byte {
	dst = append(dst, "event: error\ndata: "...)
	begin := len(dst)
	dst = AppendError(dst, e)
	for i := begin; i < len(dst); i++ {
		// In valid JSON a line ending is white space, and would end the event's line here.
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, "\n\n"...)
}

// hasError tells whether body is an error in this dialect's shape.
func hasError(body []byte) bool {
	return len(body) > 0 && gjson.ValidBytes(body) && gjson.GetBytes(body, "type").Str == "error" && gjson.GetBytes(body, "error").IsObject()
}
