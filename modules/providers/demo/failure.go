package demo

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Failure is a fault that is injected on purpose, counted over the calls of one provider.
type Failure struct {
	// Kind is what goes wrong: an HTTP status from 400 to 599 that the call is refused with; disconnect, where
	// the connection breaks in the middle of the answer; malformed, where the answer or an event of it is cut
	// off and so is no JSON; or stall, where nothing comes until the caller gives up.
	Kind string `json:"kind"`
	// Every spoils each n-th call. Default: 1, all calls.
	Every int `json:"every,omitempty"`
}

type failureKind string

const (
	noFailure  failureKind = ""
	disconnect failureKind = "disconnect"
	malformed  failureKind = "malformed"
	stall      failureKind = "stall"
)

// status is the HTTP status that the kind names, or zero.
func (k failureKind) status() int {
	if k == noFailure {
		return 0
	}
	status, err := strconv.Atoi(string(k))
	if err != nil || status < 400 || status > 599 {
		return 0
	}
	return status
}

func (f Failure) validate() error {
	if f.Every < 0 {
		return fmt.Errorf("a failure must come every 1 or more calls, not %d", f.Every)
	}
	switch kind := failureKind(f.Kind); kind {
	case disconnect, malformed, stall:
		return nil
	default:
		if kind.status() == 0 {
			return fmt.Errorf("unknown kind of failure %q: it is a status from 400 to 599, disconnect, malformed or stall", f.Kind)
		}
		return nil
	}
}

// dueFailure counts a call and tells how it is to fail.
func (p *Provider) dueFailure() failureKind {
	if len(p.Failures) == 0 {
		return noFailure
	}
	call := p.calls.Add(1)
	for _, f := range p.Failures {
		if call%int64(f.Every) == 0 {
			return failureKind(f.Kind)
		}
	}
	return noFailure
}

// statusError is what an upstream's refusal with a status means to the gateway.
func statusError(status int) *dialect.Error {
	e := &dialect.Error{
		Kind:    dialect.InvalidRequest,
		Status:  status,
		Message: fmt.Sprintf("the demo provider was told to fail with status %d", status),
	}
	errorType := "invalid_request_error"
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind, e.Retryable, e.RetryAfter = dialect.RateLimit, true, time.Second
		e.Code, errorType = "rate_limit_exceeded", "requests"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		// Neither the status nor the body: the credential at fault is the gateway's, not the client's.
		return &dialect.Error{Kind: dialect.UpstreamAuth, Message: e.Message, Retryable: true}
	case status == http.StatusNotFound:
		e.Kind, e.Code = dialect.ModelNotFound, "model_not_found"
	case status == http.StatusRequestTimeout:
		e.Kind, e.Retryable = dialect.Timeout, true
	case status == http.StatusRequestEntityTooLarge:
		e.Kind = dialect.TooLarge
	case status == http.StatusServiceUnavailable:
		e.Kind, e.Retryable = dialect.Unavailable, true
		errorType = "server_error"
	case status >= 500:
		e.Kind, e.Retryable = dialect.UpstreamFailed, true
		errorType = "server_error"
	}
	e.Body = appendErrorBody(nil, e.Message, errorType, e.Code)
	return e
}

// appendErrorBody writes an error as OpenAI's API does.
func appendErrorBody(dst []byte, message, errorType, code string) []byte {
	dst = append(dst, `{"error":{"message":`...)
	dst = dialect.String(dst, message)
	dst = append(dst, `,"type":`...)
	dst = dialect.String(dst, errorType)
	dst = append(dst, `,"param":null,"code":`...)
	if code == "" {
		dst = append(dst, "null"...)
	} else {
		dst = dialect.String(dst, code)
	}
	return append(dst, `}}`...)
}

// disconnectError is what a cut connection means. Once the answer has begun, no other attempt can help.
func disconnectError(retryable bool) *dialect.Error {
	e := dialect.Errorf(dialect.UpstreamFailed, "the demo provider was told to cut the connection")
	e.Retryable = retryable
	return e
}

// invalid is an error about one field of the request.
func invalid(field, format string, args ...any) *dialect.Error {
	e := dialect.Errorf(dialect.InvalidRequest, format, args...)
	e.Field = field
	return e
}
