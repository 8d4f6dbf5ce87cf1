package exchange

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// transportError tells a timeout of ours, a client who left and a broken connection apart.
func transportError(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	var told *dialect.Error
	switch {
	case errors.Is(cause, errFirstToken), errors.Is(cause, errIdle), errors.Is(cause, errTotal):
		return &dialect.Error{Kind: dialect.Timeout, Message: "the provider " + cause.Error(), Retryable: errors.Is(cause, errFirstToken), Cause: cause}
	case errors.Is(cause, context.DeadlineExceeded): // the client's
		return cause
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &told): // who unwrapped the answer knows more
		return told
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &dialect.Error{Kind: dialect.Timeout, Message: "the provider could not be reached in time", Retryable: true, Cause: withoutURL(err)}
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return &dialect.Error{Kind: dialect.Unavailable, Message: "the provider cannot be reached", Retryable: true, RetryAfter: time.Second, Cause: withoutURL(err)}
	}
	return &dialect.Error{Kind: dialect.UpstreamFailed, Message: "the connection to the provider broke before it answered", Retryable: true, Cause: withoutURL(err)}
}

// withoutURL drops the address that net/http wraps errors with, which may name more than a log should.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
