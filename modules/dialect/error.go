package dialect

import (
	"fmt"
	"net/http"
	"time"
)

// Kind names what went wrong, independent of any wire format. Each surface maps it to its own words.
type Kind string

// The kinds of error that a client can meet.
const (
	InvalidJSON      Kind = "invalid_json"         // the body does not parse
	InvalidRequest   Kind = "invalid_request"      // the body parses and says something impossible
	Validation       Kind = "validation_error"     // one field breaks its rule
	Authentication   Kind = "authentication_error" // no, or no valid, gateway credential
	Permission       Kind = "permission_error"     // known, but not allowed this
	NotFound         Kind = "not_found"            // no such path or thing
	ModelNotFound    Kind = "model_not_found"      // no such model
	MethodNotAllowed Kind = "method_not_allowed"
	TooLarge         Kind = "request_too_large"
	RateLimit        Kind = "rate_limit_exceeded"        // a limit of the gateway, or one of the provider's
	UpstreamFailed   Kind = "llm_error"                  // the provider failed or answered nonsense
	UpstreamAuth     Kind = "llm_authentication_error"   // the provider refuses the gateway's credential
	UpstreamParsing  Kind = "llm_response_parsing_error" // the model's output does not fit its schema
	Unavailable      Kind = "llm_provider_unavailable"   // nobody can answer now
	Timeout          Kind = "llm_timeout_error"
	Internal         Kind = "internal_error"
	StoreUnavailable Kind = "store_unavailable" // a dependency of the gateway is down
	OnlyIfCachedMiss Kind = "cache_miss"        // the client asked for a cached answer only
)

var kindStatus = map[Kind]int{
	InvalidJSON: http.StatusBadRequest, InvalidRequest: http.StatusBadRequest,
	Validation: http.StatusUnprocessableEntity, Authentication: http.StatusUnauthorized,
	Permission: http.StatusForbidden, NotFound: http.StatusNotFound, ModelNotFound: http.StatusNotFound,
	MethodNotAllowed: http.StatusMethodNotAllowed, TooLarge: http.StatusRequestEntityTooLarge,
	RateLimit: http.StatusTooManyRequests, UpstreamFailed: http.StatusBadGateway,
	UpstreamAuth: http.StatusBadGateway, UpstreamParsing: http.StatusBadGateway,
	Unavailable: http.StatusServiceUnavailable, Timeout: http.StatusGatewayTimeout,
	Internal: http.StatusInternalServerError, StoreUnavailable: http.StatusServiceUnavailable,
	OnlyIfCachedMiss: http.StatusGatewayTimeout,
}

// Error is one failure, told in the gateway's terms. Message and Details are shown to the client, so
// neither may hold a secret; Cause is for the log.
type Error struct {
	Kind    Kind
	Status  int    // HTTP status; zero means the kind's own
	Message string // one sentence that says what to do
	Field   string // the request's field at fault, as a path
	Code    string // the provider's own error code, where it named one
	Details map[string]any
	// RetryAfter is how long to wait; zero means unknown. It is sent as Retry-After, rounded up.
	RetryAfter time.Duration
	// Retryable says that another attempt, here or at another target, may succeed.
	Retryable bool
	// Told says that the client has it already, in the provider's own words.
	Told bool
	// Body is the provider's own error body, to be passed to a client who speaks the provider's dialect.
	Body  []byte
	Cause error
}

// Errorf makes an error of a kind with a formatted message.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// HTTPStatus is the status that the error is answered with, before a surface maps it.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	if s, ok := kindStatus[e.Kind]; ok {
		return s
	}
	return http.StatusInternalServerError
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

func (e *Error) Unwrap() error { return e.Cause }
