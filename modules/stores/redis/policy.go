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
	Local Policy = "local" // each gateway for itself on its share, beginning with what it has admitted
	Allow Policy = "allow" // everything is admitted
	Deny  Policy = "deny"  // nothing is
)

// comeBack is how long a call that nobody can decide on is told to wait.
const comeBack = time.Second

// record counts in the shadow what Redis has granted, so that a gateway that loses Redis begins with what it has admitted itself.
func (l *Limiter) record(ctx context.Context, call *admission, claims []gateway.Claim) {
	if l.shadow == nil {
		return
	}
	counted := slices.Clone(claims)
	for i := range counted {
		asGranted(&counted[i])
	}
	if denied, err := l.shadow.Admit(ctx, counted); denied < 0 && err == nil {
		call.shadow = counted
	}
}

// asGranted makes a claim that Redis has granted one that the shadow does not refuse, though its clock is another and what was admitted
// without Redis may be in it: with the most units of any limit that is counted in the same form.
func asGranted(c *gateway.Claim) {
	c.Cost = min(c.Cost, c.Limit.N)
	if c.Limit.Kind == gateway.LimitRequests && c.Limit.N <= exactUpTo {
		c.Limit.N = exactUpTo
	} else {
		c.Limit.N = maxUnits
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
		for i := range counted {
			counted[i].Limit.N = l.fleet.share(counted[i].Limit.N)
		}
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
