package openai

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// statusOverloaded is what Anthropic, and servers in its manner, answer with when they have too much to do.
const statusOverloaded = 529

const (
	maxMessage    = 2 << 10 // bytes of a provider's message that are passed on
	maxRetryAfter = 24 * time.Hour
)

// ParseError makes an error of a provider's answer that is none. header gives a header field by its name.
//
// A client gets to see what it can act on: a refusal of its own request, in the provider's words. A refusal of
// the gateway's credential becomes a 502 that tells nothing of it, and so does a body that is not JSON, such
// as a proxy's HTML page.
func ParseError(status int, header func(name string) string, body []byte) *dialect.Error {
	e := &dialect.Error{Kind: dialect.UpstreamFailed, RetryAfter: retryAfter(header)}
	e.Retryable = retryable(status)
	said, isJSON := parseBody(body)
	e.Cause = fmt.Errorf("the provider answered with status %d, code %q", status, said.code)
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		e.Kind = dialect.UpstreamAuth
		e.Message = "the provider refused the gateway's credential"
		return e
	}
	if !isJSON {
		e.Kind = kindWithoutWords(status)
		e.Message = fmt.Sprintf("the provider answered with status %d and no error that the gateway can read", status)
		return e
	}
	e.Message, e.Code, e.Field = said.message, said.code, said.param
	if e.Message == "" {
		e.Message = fmt.Sprintf("the provider answered with status %d", status)
	}
	switch {
	case status == http.StatusNotFound && (said.code == "model_not_found" || said.code == "" && strings.Contains(strings.ToLower(said.message), "model")):
		e.Kind, e.Status = dialect.ModelNotFound, status
	case status == http.StatusNotFound:
		e.Kind, e.Status = dialect.NotFound, status
	case status == http.StatusRequestTimeout:
		e.Kind = dialect.Timeout
	case status == http.StatusTooManyRequests:
		e.Kind, e.Status = dialect.RateLimit, status
		if e.Code == "" && spent(said.typ) {
			e.Code = said.typ
		}
		e.Message = "the provider's own limit is reached; try again later"
	case status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Status = dialect.TooLarge, status
	case status >= 400 && status < 500:
		e.Kind, e.Status = dialect.InvalidRequest, status
	default:
		e.Kind = kindWithoutWords(status)
	}
	if spent(e.Code) {
		e.Retryable = false
	}
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests && hasError(body) {
		e.Body = bytes.Clone(body)
	}
	return e
}

// kindWithoutWords judges an answer by its status alone.
func kindWithoutWords(status int) dialect.Kind {
	switch status {
	case http.StatusTooManyRequests:
		return dialect.RateLimit
	case http.StatusRequestEntityTooLarge:
		return dialect.TooLarge
	case http.StatusServiceUnavailable, statusOverloaded:
		return dialect.Unavailable
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return dialect.Timeout
	}
	return dialect.UpstreamFailed
}

func retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, statusOverloaded:
		return true
	}
	return false
}

// spent tells whether a code says that an account's money is used up, which no retry changes.
func spent(code string) bool {
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
		return said{message: clean(e.Str), code: text(root.Get("code"))}, true
	case !e.IsObject():
		e = root
	}
	return said{clean(text(e.Get("message"))), text(e.Get("type")), text(e.Get("code")), text(e.Get("param"))}, true
}

// text is a string's value. Numbers, which some servers repeat the status with, say nothing new.
func text(r gjson.Result) string {
	if r.Type != gjson.String {
		return ""
	}
	return clean(r.Str)
}

// clean keeps a message of bounded length and valid UTF-8.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// retryAfter reads how long to wait: OpenAI's Retry-After-Ms, which is finer, else Retry-After in seconds or
// as a date (RFC 9110, section 10.2.3), which the provider's own clock in Date measures.
func retryAfter(header func(name string) string) time.Duration {
	if ms, err := strconv.ParseFloat(header("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return wait(ms * float64(time.Millisecond))
	}
	text := header("Retry-After")
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 {
		return wait(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// wait bounds a wait, in nanoseconds.
func wait(ns float64) time.Duration {
	return time.Duration(math.Min(ns, float64(maxRetryAfter)))
}
