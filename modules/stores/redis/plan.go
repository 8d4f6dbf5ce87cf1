package redis

import (
	"fmt"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// exactUpTo is the largest N of requests whose admissions are kept one by one.
	exactUpTo = 10_000
	// maxUnits is the largest number that Lua counts exactly.
	maxUnits = 1<<53 - 1
	// maxWindow keeps sums of times far from that.
	maxWindow = 10 * 365 * 24 * time.Hour
)

// The forms in which Redis keeps a window; see scripts/window.lua.
const (
	formRing    = "ring"
	formBuckets = "buckets"
	formLeases  = "leases"
)

// window is what a call takes from one window.
type window struct {
	key    string
	tenant string
	form   string
	length int64 // microseconds
	charge int64
	claim  int // the first of the call's claims on it
	limits int // how many claims are on it

	used int64 // what is in use, after the decision
	at   int64 // when Redis charged it, in microseconds
	id   int64 // which of all windows that ever had this key was charged
}

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

// plan lists the windows that claims are about, those of one tenant together: a call is charged once for each, with the largest
// cost, but no more than the smallest N.
func plan(windows []window, claims []gateway.Claim) []window {
	for i := range claims {
		if repeated(claims, i, tenantOf) {
			continue
		}
		for j := i; j < len(claims); j++ {
			if tenantOf(&claims[j]) == tenantOf(&claims[i]) && !repeated(claims, j, keyed) {
				windows = append(windows, windowOf(claims, j))
			}
		}
	}
	return windows
}

// identity is what claims on the same window have in common.
type identity struct {
	tenant, subject string
	kind            gateway.LimitKind
	length          time.Duration
}

func keyed(c *gateway.Claim) identity {
	return identity{tenantOf(c), c.Subject, c.Limit.Kind, c.Limit.Window}
}

// repeated reports whether an earlier claim has the same in common.
func repeated[T comparable](claims []gateway.Claim, i int, of func(*gateway.Claim) T) bool {
	for j := range i {
		if of(&claims[j]) == of(&claims[i]) {
			return true
		}
	}
	return false
}

func windowOf(claims []gateway.Claim, i int) window {
	first := &claims[i]
	w := window{key: keyOf(first), tenant: tenantOf(first), claim: i, charge: 1}
	strictest := int64(maxUnits)
	for j := i; j < len(claims); j++ {
		if keyed(&claims[j]) == keyed(first) {
			w.charge = max(w.charge, claims[j].Cost)
			strictest = min(strictest, claims[j].Limit.N)
			w.limits++
		}
	}
	w.charge = min(w.charge, strictest)
	switch {
	case first.Limit.Kind == gateway.LimitConcurrency:
		w.form = formLeases
		return w
	case first.Limit.Kind == gateway.LimitRequests && strictest <= exactUpTo:
		w.form = formRing
	default:
		w.form = formBuckets
	}
	w.length = microseconds(first.Limit.Window)
	return w
}

// decidedAtOnce cuts windows into those that one script decides on: all of them, or, where Redis keeps tenants apart, a tenant's.
func decidedAtOnce(windows []window, apart bool) func(yield func([]window) bool) {
	return func(yield func([]window) bool) {
		for len(windows) > 0 {
			n := 1
			for n < len(windows) && (!apart || windows[n].tenant == windows[0].tenant) {
				n++
			}
			if !yield(windows[:n]) {
				return
			}
			windows = windows[n:]
		}
	}
}
