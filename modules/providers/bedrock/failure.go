package bedrock

import (
	"net/http"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// failure is what Anthropic's API would have said where AWS says an exception.
type failure struct {
	status int
	typ    string
	model  bool // it is about the model
}

// failures are by the exceptions' names in lower case: before an answer they are written as ThrottlingException, inside of one as
// throttlingException.
var failures = map[string]failure{
	"validationexception":           {http.StatusBadRequest, "invalid_request_error", false},
	"resourcenotfoundexception":     {http.StatusNotFound, "not_found_error", true},
	"modeltimeoutexception":         {http.StatusGatewayTimeout, "timeout_error", false},
	"modelerrorexception":           {http.StatusBadGateway, "api_error", false},
	"modelstreamerrorexception":     {http.StatusBadGateway, "api_error", false},
	"internalserverexception":       {http.StatusInternalServerError, "api_error", false},
	"serviceunavailableexception":   {dialect.StatusOverloaded, "overloaded_error", false},
	"modelnotreadyexception":        {dialect.StatusOverloaded, "overloaded_error", false},
	"throttlingexception":           {http.StatusTooManyRequests, "rate_limit_error", false},
	"servicequotaexceededexception": {http.StatusTooManyRequests, "rate_limit_error", false},
	"accessdeniedexception":         {http.StatusForbidden, "permission_error", false},
	"unrecognizedclientexception":   {http.StatusUnauthorized, "authentication_error", false},
	"invalidsignatureexception":     {http.StatusUnauthorized, "authentication_error", false},
	"expiredtokenexception":         {http.StatusUnauthorized, "authentication_error", false},
	"incompletesignatureexception":  {http.StatusUnauthorized, "authentication_error", false},
}

// failureOf finds what an exception means; one that nobody knows goes by its status. That a model is unknown, only a message tells.
func failureOf(exception string, status int, message string) failure {
	if strings.Contains(message, "model identifier is invalid") {
		exception = "ResourceNotFoundException"
	}
	if f, ok := failures[strings.ToLower(exception)]; ok {
		return f
	}
	return failure{status: status, typ: "api_error"}
}

// body writes the failure as Anthropic's API would.
func (f failure) body(message string) []byte {
	if message = dialect.CleanMessage(message); f.model {
		message = "model: " + message
	}
	text := dialect.String([]byte(`{"type":"error","error":{"type":`), f.typ)
	text = dialect.String(append(text, `,"message":`...), message)
	return append(text, '}', '}')
}
