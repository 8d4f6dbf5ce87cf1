package redis

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Policy is what decides where Redis cannot.
type Policy string

// The policies.
const (
	Local Policy = "local" // each gateway for itself, beginning with what it has admitted
	Allow Policy = "allow" // everything is admitted
	Deny  Policy = "deny"  // nothing is
)

// comeBack is how long a call that nobody can decide on is told to wait.
const comeBack = time.Second

// record counts in the shadow what Redis has granted, so that a gateway that loses Redis begins with what it has admitted itself.
// Where the shadow, whose clock is another, is full already, there is nothing to add.
func (l *Limiter) record(ctx context.Context, call *admission, claims []gateway.Claim) {
	if l.shadow == nil {
		return
	}
	counted := slices.Clone(claims)
	if denied, err := l.shadow.Admit(ctx, counted); denied < 0 && err == nil {
		call.shadow = counted
	}
}

// without decides on a call that Redis has not decided on.
func (l *Limiter) without(ctx context.Context, call *admission, claims []gateway.Claim, cause error) (int, error) {
	processMetrics().fallbacks.WithLabelValues(string(l.policy)).Inc()
	for i := range claims {
		claims[i].Mark = 0
	}
	switch l.policy {
	case Local:
		counted := slices.Clone(claims)
		denied, err := l.shadow.Admit(ctx, counted)
		if err != nil {
			return -1, err
		}
		for i := range claims {
			claims[i].Remaining, claims[i].Reset, claims[i].RetryAfter = counted[i].Remaining, counted[i].Reset, counted[i].RetryAfter
		}
		if denied >= 0 {
			return denied, nil
		}
		call.shadow = counted
	case Allow:
		for i := range claims {
			claims[i].Remaining, claims[i].Reset, claims[i].RetryAfter = max(claims[i].Limit.N, 0), 0, 0
		}
	default:
		return -1, &dialect.Error{Kind: dialect.StoreUnavailable, Message: "the limits cannot be checked now; try again",
			RetryAfter: comeBack, Retryable: true, Cause: cause}
	}
	l.begin(call, claims)
	return -1, nil
}

// observeMode tells the world who decides.
func (l *Limiter) observeMode(up bool) {
	mode := "redis"
	if !up {
		mode = string(l.policy)
	}
	processMetrics().setMode(mode)
}
