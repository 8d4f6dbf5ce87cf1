package proxy

import (
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// verdict is what a failed attempt says about further ones.
type verdict uint8

const (
	// final is a failure that no other attempt mends: the call is at fault, or its client is gone.
	final verdict = iota
	// elsewhere is one that this target would repeat, and another one may not.
	elsewhere
	// anywhere is one that may pass: this target too may do better in a while.
	anywhere
)

// judge tells what a failure before the first byte of an answer means. A call leaves nothing at a provider but a bill, so that one
// which a provider may have worked on is asked again, as the official SDKs do: its client would send it again otherwise.
func judge(err error) (verdict, *dialect.Error) {
	var e *dialect.Error
	if !errors.As(err, &e) {
		return final, nil
	}
	switch e.Kind {
	case dialect.UpstreamAuth, dialect.ModelNotFound, dialect.NotFound: // this account's, whatever it says of another time
		return elsewhere, e
	}
	if e.Retryable {
		return anywhere, e
	}
	switch e.Kind {
	case dialect.RateLimit, dialect.UpstreamFailed, dialect.Unavailable, dialect.Timeout:
		return elsewhere, e // an account without money, an answer beyond all bounds, a silence in the middle of one
	}
	return final, e
}
