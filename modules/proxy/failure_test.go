package proxy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestTheMostTellingFailureIsTheClients(t *testing.T) {
	limited := func(wait time.Duration) *dialect.Error {
		return &dialect.Error{Kind: dialect.RateLimit, Status: 429, Retryable: true, RetryAfter: wait}
	}
	of := func(kind dialect.Kind) *dialect.Error {
		return &dialect.Error{Kind: kind, Message: string(kind), Retryable: true}
	}
	spent := &dialect.Error{Kind: dialect.RateLimit, Status: 429, Code: "insufficient_quota"}
	for _, tt := range []struct {
		name     string
		failures []*dialect.Error
		status   int
		wait     time.Duration
	}{
		{"one limit", []*dialect.Error{limited(9 * time.Second)}, 429, 9 * time.Second},
		{"limits alone", []*dialect.Error{limited(9 * time.Second), limited(0), limited(2 * time.Second), limited(30 * time.Second)}, 429, 2 * time.Second},
		{"a limit and an outage", []*dialect.Error{limited(9 * time.Second), of(dialect.Unavailable)}, 503, 9 * time.Second},
		{"a limit and a failure", []*dialect.Error{limited(9 * time.Second), of(dialect.UpstreamFailed)}, 503, 9 * time.Second},
		{"a limit and a bad credential", []*dialect.Error{of(dialect.UpstreamAuth), limited(0)}, 503, 0},
		{"a limit and a model that is not there", []*dialect.Error{limited(time.Second), of(dialect.ModelNotFound)}, 503, time.Second},
		{"a bad credential", []*dialect.Error{of(dialect.UpstreamAuth)}, 502, 0},
		{"bad credentials alone", []*dialect.Error{of(dialect.UpstreamAuth), of(dialect.UpstreamAuth)}, 502, 0},
		{"a failure and an outage", []*dialect.Error{of(dialect.Unavailable), of(dialect.UpstreamFailed)}, 503, 0},
		{"a failure and a bad credential", []*dialect.Error{of(dialect.UpstreamFailed), of(dialect.UpstreamAuth)}, 502, 0},
		{"a timeout and a failure", []*dialect.Error{of(dialect.Timeout), of(dialect.UpstreamFailed)}, 504, 0},
		{"models that are not there", []*dialect.Error{of(dialect.ModelNotFound), of(dialect.ModelNotFound)}, 404, 0},
		{"a model that is not there, and a bad credential", []*dialect.Error{of(dialect.ModelNotFound), of(dialect.UpstreamAuth)}, 502, 0},
		{"accounts without money", []*dialect.Error{spent, spent}, 429, 0},
	} {
		if got := telling(tt.failures); got.HTTPStatus() != tt.status || got.RetryAfter != tt.wait {
			t.Errorf("%s: it is %d after %s, want %d after %s", tt.name, got.HTTPStatus(), got.RetryAfter, tt.status, tt.wait)
		}
	}
	if got := telling([]*dialect.Error{spent, limited(0)}); !got.Retryable {
		t.Errorf("of a limit and an account without money it is %v", got)
	}
}

// Whatever the order, the status is the same, no provider's 401 or 403 is the client's, and a 429 is everybody's.
func TestTheOrderOfFailuresDoesNotMatter(t *testing.T) {
	kinds := []dialect.Kind{dialect.RateLimit, dialect.Unavailable, dialect.Timeout, dialect.UpstreamFailed, dialect.UpstreamAuth, dialect.ModelNotFound, dialect.NotFound}
	rapid.Check(t, func(t *rapid.T) {
		var failures []*dialect.Error
		limited := 0
		for _, kind := range rapid.SliceOfN(rapid.SampledFrom(kinds), 1, 6).Draw(t, "kinds") {
			failures = append(failures, &dialect.Error{Kind: kind, RetryAfter: time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")) * time.Second, Retryable: rapid.Bool().Draw(t, "retryable")})
			if kind == dialect.RateLimit {
				limited++
			}
		}
		told := telling(failures)
		status, wait := told.HTTPStatus(), told.RetryAfter
		again := telling(rapid.Permutation(failures).Draw(t, "permuted"))
		if again.HTTPStatus() != status || again.RetryAfter != wait && status != 502 && status != 504 && status != 404 {
			t.Fatalf("it is %v in one order, %v in another", told, again)
		}
		if (status == 429) != (limited == len(failures)) || status == 401 || status == 403 {
			t.Fatalf("of %d failures %d are limits, and it is %d", len(failures), limited, status)
		}
	})
}
