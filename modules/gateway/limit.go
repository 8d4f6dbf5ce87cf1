package gateway

import (
	"context"
	"time"
)

// LimitKind is what a limit counts.
type LimitKind string

// The kinds of limit.
const (
	LimitRequests    LimitKind = "requests"    // calls admitted
	LimitTokens      LimitKind = "tokens"      // input and output tokens
	LimitConcurrency LimitKind = "concurrency" // calls in progress
)

// Limit is one promise: never more than N units in any window of the given length, wherever the window
// begins. A concurrency limit has no window.
type Limit struct {
	Kind   LimitKind     `json:"kind"`
	N      int64         `json:"n"`
	Window time.Duration `json:"window,omitempty"` // nanoseconds in Go, "1h" style text in our JSON and Caddyfile
}

// Claim asks a limiter for Cost units of one limit on behalf of one subject. The limiter writes its finding
// into the claim, so that a decision over many limits needs no allocation.
type Claim struct {
	// Subject is what counts together: claims with equal Subject and equal Limit.Kind and Limit.Window share
	// one window, whatever their N. It holds public ids only, never a credential.
	Subject string
	// Tenant is on whose behalf the claim is made: the key's team, else the key, else the subject. A limiter that is spread
	// over several machines keeps a tenant's windows together, so that one decision over them is one step.
	Tenant string
	// Scope names the limit to the client and in metrics: "key", "team", or the zone of a handler.
	Scope string
	Limit Limit
	Cost  int64 // units to reserve, at least 1

	// Actual is set by the caller before Settle: the units that were really used.
	Actual int64

	// Remaining is how many units are left after this decision.
	Remaining int64
	// Reset is how long until Remaining next grows by itself; zero where nothing is in use.
	Reset time.Duration
	// RetryAfter is, on a claim that was refused, how long until a call of this cost could be admitted if
	// nobody else came; zero for concurrency, where nobody can know.
	RetryAfter time.Duration
	// Mark is the limiter's own note, carried from Admit to Settle or Cancel.
	Mark int64
}

// Limiter keeps the windows of all limits. It is safe for concurrent use.
type Limiter interface {
	// Admit decides on all claims at once: either every claim is granted and denied is -1, or none is and
	// denied is the index of the claim that takes longest to become free. A refused decision changes nothing.
	// An error means that the limiter could not decide.
	Admit(ctx context.Context, claims []Claim) (denied int, err error)
	// Settle ends an admitted call: concurrency is given back, tokens are corrected from Cost to Actual.
	// It must be called exactly once for each admission, unless Cancel is. A later decision of this limiter knows of it. The answer's
	// end waits until Settle returns, so it must not wait for a network.
	Settle(ctx context.Context, claims []Claim)
	// Cancel takes an admission back as if it had never been made, because a later limit refused the call.
	Cancel(ctx context.Context, claims []Claim)
}

// LookingLimiter is implemented by limiters that are asked over a network, where the answers are kept as well: a decision and the
// search for an answer are one round trip then.
type LookingLimiter interface {
	Limiter
	// AdmitAndLook is Admit, and looks for a fresh answer. looked is false where it could not tell, which is no error: ask the store.
	AdmitAndLook(ctx context.Context, claims []Claim, key AnswerKey) (denied int, answer *Answer, looked bool, err error)
}
