package openai

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
	typeRequest = "invalid_request_error"
	typeRate    = "rate_limit_error"
	typeAPI     = "api_error"
	typeServer  = "server_error"
	typeQuota   = "insufficient_quota"
)

// words maps a kind to an error's type and code. An empty code is null on the wire.
var words = map[dialect.Kind]struct{ typ, code string }{
	dialect.InvalidJSON:      {typeRequest, "invalid_json"},
	dialect.InvalidRequest:   {typeRequest, ""},
	dialect.Validation:       {typeRequest, ""},
	dialect.Authentication:   {typeRequest, "invalid_api_key"},
	dialect.Permission:       {typeRequest, "permission_denied"},
	dialect.NotFound:         {typeRequest, "unknown_url"},
	dialect.ModelNotFound:    {typeRequest, "model_not_found"},
	dialect.MethodNotAllowed: {typeRequest, "method_not_allowed"},
	dialect.TooLarge:         {typeRequest, "request_too_large"},
	dialect.RateLimit:        {typeRate, "rate_limit_exceeded"},
	dialect.UpstreamFailed:   {typeAPI, string(dialect.UpstreamFailed)},
	dialect.UpstreamAuth:     {typeAPI, string(dialect.UpstreamAuth)},
	dialect.UpstreamParsing:  {typeAPI, string(dialect.UpstreamParsing)},
	dialect.Unavailable:      {typeAPI, "service_unavailable"},
	dialect.StoreUnavailable: {typeAPI, "service_unavailable"},
	dialect.Timeout:          {typeAPI, "timeout"},
	dialect.OnlyIfCachedMiss: {typeAPI, string(dialect.OnlyIfCachedMiss)},
	dialect.Internal:         {typeServer, string(dialect.Internal)},
}

// Status is the HTTP status that this surface answers an error with. It has no 422 of its own, and none of
// the statuses that a provider made up, such as 529.
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

// AppendError appends an error's body. A provider's own body, where the error has one in this surface's
// shape, is appended as it is. Details become further members of the error.
func AppendError(dst []byte, e *dialect.Error) []byte {
	if hasError(e.Body) {
		return append(dst, e.Body...)
	}
	w, ok := words[e.Kind]
	if !ok {
		w = words[dialect.Internal]
	}
	if e.Code != "" {
		w.code = e.Code
		if Spent(e.Code) && e.Kind == dialect.RateLimit {
			w.typ = typeQuota
		}
	}
	dst = append(dst, `{"error":{"message":`...)
	dst = dialect.String(dst, e.Message)
	dst = append(dst, `,"type":`...)
	dst = dialect.String(dst, w.typ)
	dst = append(dst, `,"param":`...)
	dst = stringOrNull(dst, e.Field)
	dst = append(dst, `,"code":`...)
	dst = stringOrNull(dst, w.code)
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		value, err := json.Marshal(e.Details[name])
		if err != nil || name == "message" || name == "type" || name == "param" || name == "code" {
			continue
		}
		dst = append(dst, ',')
		dst = dialect.String(dst, name)
		dst = append(dst, ':')
		dst = append(dst, value...)
	}
	return append(dst, '}', '}')
}

func stringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return dialect.String(dst, s)
}

// AppendErrorEvent appends an error as an event, for a stream that cannot go on. No [DONE] may follow it.
func AppendErrorEvent(dst []byte, e *dialect.Error) []byte {
	dst = append(dst, "data: "...)
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

// hasError tells whether body is an error in this dialect's shape. Anthropic's is another, though it has the
// member too.
func hasError(body []byte) bool {
	return len(body) > 0 && gjson.ValidBytes(body) && gjson.GetBytes(body, "error").IsObject() && gjson.GetBytes(body, "type").Str != "error"
}
