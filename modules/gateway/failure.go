package gateway

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

// statusClientGone is nginx's number for a client that left before its answer; it is never sent.
const statusClientGone = 499

// Fail answers a call with an error in its surface's own shape. Where the server has error routes, it returns a
// Caddy handler error instead, so that a handle_errors block can take over.
func (c *Call) Fail(w http.ResponseWriter, r *http.Request, failure error) error {
	c.Err = failure
	if r.Context().Err() != nil {
		c.Status = statusClientGone
		return nil
	}
	var e *dialect.Error
	if !errors.As(failure, &e) {
		e = &dialect.Error{Kind: dialect.Internal, Message: "the gateway failed; its log says why", Cause: failure}
	}
	if rescue := c.Rescue; rescue != nil {
		c.Rescue = nil
		if served, err := rescue(w, r, e); served {
			return err
		}
	}
	c.Err = e
	status, body := c.render(e)
	if status >= 500 {
		level := zap.WarnLevel
		if e.Kind == dialect.StoreUnavailable { // of which the store tells once, not with each call
			level = zap.DebugLevel
		}
		if entry := c.App.log.Check(level, "call failed"); entry != nil {
			entry.Write(zap.String("request_id", c.ID), zap.String("surface", c.Surface.Name), zap.Int("status", status),
				zap.String("kind", string(e.Kind)), zap.String("message", e.Message), zap.NamedError("cause", e.Cause))
		}
	}

	if c.begun {
		c.BreakStream(w, e)
		return nil
	}
	c.Status = status
	h := w.Header()
	c.tellAttempts(h)
	if e.RetryAfter > 0 || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == dialect.StatusOverloaded {
		setRetryAfter(h, e.RetryAfter)
	}
	if e.Kind == dialect.RateLimit && openai.Spent(e.Code) {
		h.Set("X-Should-Retry", "false") // the account's money does not come back by itself
	}
	if e.Kind == dialect.Authentication {
		h.Set("WWW-Authenticate", `Bearer realm="llm"`)
	}
	if srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && srv.Errors != nil && len(srv.Errors.Routes) > 0 {
		return caddyhttp.Error(status, e)
	}
	h["Content-Type"] = []string{jsonType}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the client is gone, and there is nobody to tell
	}
	return nil
}

const jsonType = "application/json"

// setRetryAfter says how long to wait, rounded up: a client that comes back early would be refused again. Where
// nobody knows, it is a second, lest the official SDKs come back at once.
func setRetryAfter(h http.Header, wait time.Duration) {
	if wait <= 0 {
		wait = time.Second
	}
	h.Set("Retry-After", strconv.FormatInt(ceil(wait, time.Second), 10))
	h.Set("Retry-After-Ms", strconv.FormatInt(ceil(wait, time.Millisecond), 10))
	if wait > time.Minute {
		h.Set("X-Should-Retry", "false") // the official SDKs would hammer until then
	}
}

// ceil is how many units a duration takes up.
func ceil(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}

// render writes an error in the surface's shape.
func (c *Call) render(e *dialect.Error) (status int, body []byte) {
	codec := CodecOf(c.Surface.Dialect)
	if codec == nil {
		return e.HTTPStatus(), c.renderAnalyze(e)
	}
	return codec.Status(e), codec.AppendError(nil, c.identified(e))
}

// identified is an error with the call's id, where the dialect tells it in the body.
func (c *Call) identified(e *dialect.Error) *dialect.Error {
	if c.Surface.Dialect != dialect.Anthropic {
		return e
	}
	told := *e
	told.Details = maps.Clone(e.Details)
	if told.Details == nil {
		told.Details = make(map[string]any, 1)
	}
	told.Details[anthropic.RequestID] = c.ID
	return &told
}

// analyzeFailure is the structured prompt surface's error body.
type analyzeFailure struct {
	Error     analyzeError `json:"error"`
	RequestID string       `json:"request_id"`
	Timestamp string       `json:"timestamp"`
}

type analyzeError struct {
	Type    dialect.Kind   `json:"type"`
	Message string         `json:"message"`
	Field   string         `json:"field,omitempty"`
	Details map[string]any `json:"details,omitempty"`
}

// analyzeKinds maps the kinds that this surface has no word of its own for.
var analyzeKinds = map[dialect.Kind]dialect.Kind{
	dialect.InvalidRequest:   dialect.InvalidJSON,
	dialect.ModelNotFound:    dialect.NotFound,
	dialect.StoreUnavailable: dialect.Unavailable,
	dialect.OnlyIfCachedMiss: dialect.Timeout,
}

func (c *Call) renderAnalyze(e *dialect.Error) []byte {
	kind := e.Kind
	if mapped, ok := analyzeKinds[kind]; ok {
		kind = mapped
	}
	body, err := json.Marshal(analyzeFailure{
		Error:     analyzeError{Type: kind, Message: e.Message, Field: e.Field, Details: e.Details},
		RequestID: c.ID,
		Timestamp: time.Now().UTC().Format(time.RFC3339),
	})
	if err != nil { // only Details could be at fault, and they are ours
		return []byte(`{"error":{"type":"internal_error","message":"the error could not be written"}}`)
	}
	return body
}
