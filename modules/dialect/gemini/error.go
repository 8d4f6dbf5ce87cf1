package gemini

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Words for an error's status, from google.rpc.Code. Clients choose what to do by these or by the number.
const (
	statusArgument     = "INVALID_ARGUMENT"
	statusPrecondition = "FAILED_PRECONDITION"
	statusAuth         = "UNAUTHENTICATED"
	statusPermission   = "PERMISSION_DENIED"
	statusNotFound     = "NOT_FOUND"
	statusExhausted    = "RESOURCE_EXHAUSTED"
	statusInternal     = "INTERNAL"
	statusUnavailable  = "UNAVAILABLE"
	statusDeadline     = "DEADLINE_EXCEEDED"
)

// statuses maps a kind to a status. All others are statusInternal.
var statuses = map[dialect.Kind]string{
	dialect.InvalidJSON:      statusArgument,
	dialect.InvalidRequest:   statusArgument,
	dialect.Validation:       statusArgument,
	dialect.Authentication:   statusAuth,
	dialect.Permission:       statusPermission,
	dialect.NotFound:         statusNotFound,
	dialect.ModelNotFound:    statusNotFound,
	dialect.MethodNotAllowed: statusArgument,
	dialect.TooLarge:         statusArgument,
	dialect.RateLimit:        statusExhausted,
	dialect.Unavailable:      statusUnavailable,
	dialect.StoreUnavailable: statusUnavailable,
	dialect.Timeout:          statusDeadline,
	dialect.OnlyIfCachedMiss: statusDeadline,
}

// Types of an error's details, and who says what is in an ErrorInfo.
const (
	typeRetry  = "type.googleapis.com/google.rpc.RetryInfo"
	typeBad    = "type.googleapis.com/google.rpc.BadRequest"
	typeInfo   = "type.googleapis.com/google.rpc.ErrorInfo"
	infoDomain = "caddy-llm"
)

// Status is the HTTP status that this surface answers an error with. It has no 422 of its own, and none of the
// statuses that a provider made up, such as 529.
func Status(e *dialect.Error) int {
	if e.Kind == dialect.Validation {
		return http.StatusBadRequest
	}
	status := e.HTTPStatus()
	switch {
	case status == dialect.StatusOverloaded:
		return http.StatusServiceUnavailable
	case status < 400 || http.StatusText(status) == "":
		return http.StatusBadGateway
	}
	return status
}

// AppendError appends an error's body. A provider's own body, where the error has one in this surface's shape, is
// appended as it is. What is known beside the message is in details: how long to wait, the field at fault, and the
// kind of the error with all else.
func AppendError(dst []byte, e *dialect.Error) []byte {
	if hasError(e.Body) {
		return append(dst, e.Body...)
	}
	status, ok := statuses[e.Kind]
	if !ok {
		status = statusInternal
	}
	dst = dialect.IntMember(append(dst, `{"error":{`...), "code", int64(Status(e)))
	dst = dialect.String(dialect.Member(dst, "message"), e.Message)
	dst = dialect.TextMember(dst, "status", status)
	dst = append(dialect.Member(dst, "details"), '[')
	dst = appendInfo(dst, e)
	if e.Field != "" {
		dst = append(dialect.Element(dst), `{"@type":"`+typeBad+`","fieldViolations":[{`...)
		dst = dialect.TextMember(dst, "field", e.Field)
		dst = append(dialect.String(dialect.Member(dst, "description"), e.Message), "}]}"...)
	}
	if e.RetryAfter > 0 {
		dst = append(dialect.Element(dst), `{"@type":"`+typeRetry+`","retryDelay":"`...)
		dst = append(appendSeconds(dst, e.RetryAfter), `s"}`...)
	}
	return append(dst, "]}}"...)
}

// appendInfo appends an ErrorInfo: a reason, and the error's details as strings, as its metadata are.
func appendInfo(dst []byte, e *dialect.Error) []byte {
	reason := e.Code
	if reason == "" {
		reason = string(e.Kind)
	}
	dst = append(dst, `{"@type":"`+typeInfo+`"`...)
	dst = dialect.TextMember(dst, "reason", reason)
	dst = dialect.TextMember(dst, "domain", infoDomain)
	if len(e.Details) > 0 {
		dst = append(dialect.Member(dst, "metadata"), '{')
		for _, name := range slices.Sorted(maps.Keys(e.Details)) {
			if text, ok := e.Details[name].(string); ok {
				dst = dialect.String(dialect.Member(dst, name), text)
			} else if value, err := json.Marshal(e.Details[name]); err == nil {
				dst = dialect.Quote(dialect.Member(dst, name), value)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendSeconds appends a time in whole milliseconds, rounded up, so that nobody comes too early.
func appendSeconds(dst []byte, d time.Duration) []byte {
	ms := math.Ceil(float64(d) / float64(time.Millisecond))
	return strconv.AppendFloat(dst, ms/1000, 'f', -1, 64)
}

// AppendErrorEvent appends an error as an event, for a stream that cannot go on.
func AppendErrorEvent(dst []byte, e *dialect.Error) []byte {
	dst = append(dst, "data: "...)
	begin := len(dst)
	dst = AppendError(dst, e)
	flatten(dst[begin:])
	return append(dst, "\n\n"...)
}

// flatten replaces line endings, which are white space in valid JSON and would end an event's line.
func flatten(body []byte) {
	for i, c := range body {
		if c == '\n' || c == '\r' {
			body[i] = ' '
		}
	}
}

// hasError tells whether body is an error in this dialect's shape, in an array or not. OpenAI's has the member too,
// but no status in it.
func hasError(body []byte) bool {
	if len(body) == 0 || !gjson.ValidBytes(body) {
		return false
	}
	e := errorIn(body)
	return e.Get("code").Type == gjson.Number && e.Get("status").Type == gjson.String
}

// errorIn finds the member error, which Google's servers may wrap in an array.
func errorIn(body []byte) gjson.Result {
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		root = root.Get("0")
	}
	return root.Get("error")
}
