package proxy

import (
	"errors"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// telling is the failure, of those of several targets, that says most to the client: first what passes by itself, then what the
// providers did, then what the operator has to mend. Of equals it is the last one.
//
// A provider's limit is the client's 429 only where each target has answered so: where one has not, the client would slow down for
// nothing. Then it is a 503, and like a 429 it tells the shortest wait that a provider asked for.
func telling(failures []*dialect.Error) *dialect.Error {
	limited := 0
	var wait time.Duration
	best := failures[0]
	for _, e := range failures {
		if e.Kind == dialect.RateLimit {
			limited++
		}
		if e.RetryAfter > 0 && (wait == 0 || e.RetryAfter < wait) {
			wait = e.RetryAfter
		}
		if weight(e) >= weight(best) {
			best = e
		}
	}
	if len(failures) == 1 {
		return best
	}
	switch {
	case limited == len(failures), best.Kind == dialect.Unavailable:
		told := *best
		told.RetryAfter = wait
		return &told
	case limited > 0:
		causes := make([]error, len(failures))
		for i, e := range failures {
			causes[i] = e
		}
		return &dialect.Error{Kind: dialect.Unavailable, Message: "none of the model's providers can answer now; try again later", RetryAfter: wait, Cause: errors.Join(causes...)}
	}
	return best
}

// weight orders failures by what they tell a client.
func weight(e *dialect.Error) int {
	switch e.Kind {
	case dialect.Unavailable:
		return 6
	case dialect.RateLimit:
		if e.Retryable {
			return 5
		}
		return 4 // the account's money is used up
	case dialect.Timeout:
		return 3
	case dialect.UpstreamAuth:
		return 1
	case dialect.ModelNotFound, dialect.NotFound:
		return 0
	}
	return 2
}
