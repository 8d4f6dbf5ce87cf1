package memory

import (
	"fmt"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// maxWindow keeps sums of times far from the end of their range.
const maxWindow = 10 * 365 * 24 * time.Hour

// check refuses claims that no window could be kept for.
func check(claims []gateway.Claim) error {
	for i := range claims {
		switch limit := &claims[i].Limit; limit.Kind {
		case gateway.LimitRequests, gateway.LimitTokens:
			if limit.Window <= 0 || limit.Window > maxWindow {
				return fmt.Errorf("limiting %s of %q: no window can be %v long", limit.Kind, claims[i].Subject, limit.Window)
			}
		case gateway.LimitConcurrency:
		default:
			return fmt.Errorf("limiting %q: unknown kind of limit %q", claims[i].Subject, limit.Kind)
		}
	}
	return nil
}

// sharing reports whether two claims are about the same window.
func sharing(a, b *gateway.Claim) bool {
	return a.Limit.Window == b.Limit.Window && a.Limit.Kind == b.Limit.Kind && a.Subject == b.Subject
}

// repeated reports whether an earlier claim of the call is about the same window.
func repeated(claims []gateway.Claim, i int) bool {
	for j := range i {
		if sharing(&claims[j], &claims[i]) {
			return true
		}
	}
	return false
}

// strictest is the smallest N that the call's claims have for the window of one of them.
func strictest(claims []gateway.Claim, i int) int64 {
	n := claims[i].Limit.N
	for j := range claims {
		if j != i && sharing(&claims[j], &claims[i]) {
			n = min(n, claims[j].Limit.N)
		}
	}
	return n
}

// charge is what a call reserves in the window of one of its claims: the largest cost, at most the strictest N.
func charge(claims []gateway.Claim, i int) int64 {
	cost, n := max(claims[i].Cost, 1), claims[i].Limit.N
	for j := range claims {
		if j != i && sharing(&claims[j], &claims[i]) {
			cost = max(cost, claims[j].Cost)
			n = min(n, claims[j].Limit.N)
		}
	}
	return min(cost, n)
}
