package openai

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
// the gateway's credential becomes a 502 that tells nothing of it, and so does a body that is not JSON, such
// as a proxy's HTML page. Azure has deployments in the place of models.
func ParseError(status int, header func(name string) string, body []byte) *dialect.Error {
	e := &dialect.Error{Kind: dialect.UpstreamFailed, RetryAfter: dialect.RetryAfter(header)}
	e.Retryable = dialect.RetryableStatus(status)
	said, isJSON := parseBody(body)
	e.Cause = fmt.Errorf("the provider answered with status %d, code %q", status, said.code)
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		e.Kind = dialect.UpstreamAuth
		e.Message = "the provider refused the gateway's credential"
		return e
	}
	if !isJSON {
		e.Kind = dialect.KindOfStatus(status)
		e.Message = fmt.Sprintf("the provider answered with status %d and no error that the gateway can read", status)
		return e
	}
	e.Message, e.Code, e.Field = said.message, said.code, said.param
	if e.Message == "" {
		e.Message = fmt.Sprintf("the provider answered with status %d", status)
	}
	switch {
	case status == http.StatusNotFound && (said.code == "model_not_found" || said.code == "DeploymentNotFound" || said.code == "" && strings.Contains(strings.ToLower(said.message), "model")):
		e.Kind, e.Status = dialect.ModelNotFound, status
	case status == http.StatusNotFound:
		e.Kind, e.Status = dialect.NotFound, status
	case status == http.StatusRequestTimeout:
		e.Kind = dialect.Timeout
	case status == http.StatusTooManyRequests:
		e.Kind, e.Status = dialect.RateLimit, status
		if e.Code == "" && Spent(said.typ) {
			e.Code = said.typ
		}
		e.Message = "the provider's own limit is reached; try again later"
	case status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Status = dialect.TooLarge, status
	case status >= 400 && status < 500:
		e.Kind, e.Status = dialect.InvalidRequest, status
	default:
		e.Kind = dialect.KindOfStatus(status)
	}
	if Spent(e.Code) {
		e.Retryable = false
	}
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests && hasError(body) {
		e.Body = bytes.Clone(body)
	}
	return e
}

// StatusOf is the status that an error inside of a stream would have had before it, as far as its words tell. Some servers repeat
// the status as the code.
func StatusOf(body []byte) int {
	said, _ := parseBody(body)
	switch code := gjson.GetBytes(body, "error.code").Int(); {
	case code >= 400 && code < 600:
		return int(code)
	case said.code == "model_not_found":
		return http.StatusNotFound
	case said.typ == typeRate, said.code == "rate_limit_exceeded", Spent(said.typ), Spent(said.code):
		return http.StatusTooManyRequests
	case said.code == "invalid_api_key", said.typ == "authentication_error":
		return http.StatusUnauthorized
	case said.typ == typeRequest:
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

// Spent tells whether a code says that an account's money is used up, which no retry changes.
func Spent(code string) bool {
	switch code {
	case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted",
		"project_spend_limit_exceeded", "organization_spend_limit_exceeded", "budget_exceeded":
		return true
	}
	return false
}

// words that a provider used.
type said struct{ message, typ, code, param string }

// parseBody reads an error's body: OpenAI's shape, Gemini's which wraps it in an array, a bare string as
// error, and vLLM's former one without the member error.
func parseBody(body []byte) (said, bool) {
	body = bytes.TrimSpace(body)
	if !gjson.ValidBytes(body) {
		return said{}, false
	}
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		root = root.Get("0")
	}
	if !root.IsObject() {
		return said{}, false
	}
	e := root.Get("error")
	switch {
	case e.Type == gjson.String:
		return said{message: dialect.CleanMessage(e.Str), code: text(root.Get("code"))}, true
	case !e.IsObject():
		e = root
	}
	return said{dialect.CleanMessage(text(e.Get("message"))), text(e.Get("type")), text(e.Get("code")), text(e.Get("param"))}, true
}

// text is a string's value. Numbers, which some servers repeat the status with, say nothing new.
func text(r gjson.Result) string {
	if r.Type != gjson.String {
		return ""
	}
	return dialect.CleanMessage(r.Str)
}
