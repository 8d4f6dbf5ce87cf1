package gemini

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// ParseError makes an error of a provider's answer that is none. header gives a header field by its name.
//
// A client gets to see what it can act on: a refusal of its own request, in the provider's words. A refusal of the
// gateway's credential, or of an account without money, becomes a 502 that tells nothing of it, and so does a body
// that is not JSON, such as a proxy's HTML page.
func ParseError(status int, header func(name string) string, body []byte) *dialect.Error {
	e := &dialect.Error{Kind: dialect.UpstreamFailed, RetryAfter: dialect.RetryAfter(header)}
	e.Retryable = dialect.RetryableStatus(status)
	said := parseBody(body)
	if e.RetryAfter == 0 {
		e.RetryAfter = said.wait
	}
	e.Cause = fmt.Errorf("the provider answered with status %d, %q, reason %q", status, said.status, said.reason)
	if said.refusesAccount(status) {
		e.Kind, e.Retryable = dialect.UpstreamAuth, false
		e.Message = "the provider refused the gateway's credential"
		return e
	}
	if !said.isJSON {
		e.Kind = dialect.KindOfStatus(status)
		e.Message = fmt.Sprintf("the provider answered with status %d and no error that the gateway can read", status)
		return e
	}
	if e.Message = said.message; e.Message == "" {
		e.Message = fmt.Sprintf("the provider answered with status %d", status)
	}
	switch {
	case status == http.StatusNotFound && strings.HasPrefix(said.message, "models/"):
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
		e.Kind, e.Status, e.Field = dialect.InvalidRequest, status, said.field
	}
	if hasError(body) {
		e.Body = bytes.Clone(body)
	}
	return e
}

// said is what a provider's error says.
type said struct {
	isJSON                         bool
	status, message, reason, field string
	wait                           time.Duration
}

// parseBody reads an error's body.
func parseBody(body []byte) (s said) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || !gjson.ValidBytes(body) || body[0] != '{' && body[0] != '[' {
		return said{}
	}
	s.isJSON = true
	e := errorIn(body)
	s.status, s.message = dialect.CleanMessage(e.Get("status").Str), dialect.CleanMessage(e.Get("message").Str)
	for _, detail := range e.Get("details").Array() {
		switch detail.Get("@type").Str {
		case typeRetry:
			if wait, err := time.ParseDuration(detail.Get("retryDelay").Str); err == nil {
				s.wait = min(max(wait, 0), dialect.MaxRetryAfter)
			}
		case typeInfo:
			s.reason = dialect.CleanMessage(detail.Get("reason").Str)
		case typeBad:
			s.field = dialect.CleanMessage(detail.Get("fieldViolations.0.field").Str)
		}
	}
	return s
}

// refusesAccount tells whether the provider has something against the operator, not the client. Google calls a bad
// key an invalid argument, and an account without money, or from where it does not serve, a failed precondition.
func (s *said) refusesAccount(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		return true
	case http.StatusBadRequest:
		return s.status == statusPrecondition || strings.HasPrefix(s.reason, "API_KEY_") || strings.HasPrefix(s.message, "API key ")
	}
	return false
}

// StatusOf is the status that an error inside of a 200 would have had in place of it.
func StatusOf(body []byte) int { return codeOf(readResponse(body).err) }

// codeOf is the status that an error inside of a stream would have had before it.
func codeOf(err []byte) int {
	e := gjson.ParseBytes(err)
	if code := int(e.Get("code").Int()); code >= 400 && code < 600 {
		return code
	}
	switch e.Get("status").Str {
	case statusArgument, statusPrecondition:
		return http.StatusBadRequest
	case statusAuth:
		return http.StatusUnauthorized
	case statusPermission:
		return http.StatusForbidden
	case statusNotFound:
		return http.StatusNotFound
	case statusExhausted:
		return http.StatusTooManyRequests
	case statusUnavailable:
		return http.StatusServiceUnavailable
	case statusDeadline:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
