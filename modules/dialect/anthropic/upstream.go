package anthropic

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// ParseError makes an error of a provider's answer that is none. header gives a header field by its name.
//
// A client gets to see what it can act on: a refusal of its own request, in the provider's words. A refusal of
// the gateway's credential, or of an account without money, becomes a 502 that tells nothing of it, and so does a
// body that is not JSON, such as a proxy's HTML page.
func ParseError(status int, header func(name string) string, body []byte) *dialect.Error {
	e := &dialect.Error{Kind: dialect.UpstreamFailed, RetryAfter: dialect.RetryAfter(header)}
	e.Retryable = dialect.RetryableStatus(status)
	typ, message, isJSON := parseBody(body)
	e.Cause = fmt.Errorf("the provider answered with status %d, type %q", status, typ)
	if refusesAccount(status, typ, message) {
		e.Kind = dialect.UpstreamAuth
		e.Message = "the provider refused the gateway's credential"
		return e
	}
	if !isJSON {
		e.Kind = dialect.KindOfStatus(status)
		e.Message = fmt.Sprintf("the provider answered with status %d and no error that the gateway can read", status)
		return e
	}
	if e.Message = message; message == "" {
		e.Message = fmt.Sprintf("the provider answered with status %d", status)
	}
	switch {
	case status == http.StatusNotFound && strings.HasPrefix(message, "model:"):
		e.Kind, e.Status = dialect.ModelNotFound, status
	case status == http.StatusNotFound:
		e.Kind, e.Status = dialect.NotFound, status
	case status == http.StatusTooManyRequests:
		e.Kind, e.Status = dialect.RateLimit, status
		e.Message = "the provider's own limit is reached; try again later"
		return e
	case status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Status = dialect.TooLarge, status
	case status == http.StatusRequestTimeout, status < 400, status >= 500:
		e.Kind = dialect.KindOfStatus(status)
		return e
	default:
		e.Kind, e.Status = dialect.InvalidRequest, status
	}
	if hasError(body) {
		e.Body = bytes.Clone(body)
	}
	return e
}

// refusesAccount tells whether the provider has something against the operator, not the client. Of an account
// without money it says so in a message only.
func refusesAccount(status int, typ, message string) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		return true
	}
	return typ == typeBilling || status == http.StatusBadRequest && strings.Contains(message, "credit balance is too low")
}

// parseBody reads an error's body.
func parseBody(body []byte) (typ, message string, isJSON bool) {
	body = bytes.TrimSpace(body)
	if !gjson.ValidBytes(body) || len(body) == 0 || body[0] != '{' {
		return "", "", false
	}
	e := gjson.GetBytes(body, "error")
	return dialect.CleanMessage(e.Get("type").Str), dialect.CleanMessage(e.Get("message").Str), true
}

// StatusOf is the status that an error inside of a stream would have had before it.
func StatusOf(body []byte) int {
	typ, _, _ := parseBody(body)
	switch typ {
	case typeRequest:
		return http.StatusBadRequest
	case typeAuthentication:
		return http.StatusUnauthorized
	case typeBilling:
		return http.StatusPaymentRequired
	case typePermission:
		return http.StatusForbidden
	case typeNotFound:
		return http.StatusNotFound
	case typeTooLarge:
		return http.StatusRequestEntityTooLarge
	case typeRate:
		return http.StatusTooManyRequests
	case typeTimeout:
		return http.StatusGatewayTimeout
	case typeOverloaded:
		return dialect.StatusOverloaded
	}
	return http.StatusInternalServerError
}
