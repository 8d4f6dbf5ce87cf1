package redis

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// denialTTL bounds how long a refusal is repeated: a reset, a raised limit and units given back elsewhere are seen after that.
	denialTTL = time.Second
	// maxDenials bounds their number.
	maxDenials = 10_000
)

// denials are the refusals that need not be asked for again, by the window that refused.
type denials struct {
	ttl   time.Duration
	count atomic.Int64 // how many there are, so that the usual call takes no lock

	mu    sync.Mutex
	known map[identity]denial
	names map[string]identity // by the window's key
}

// denial is a refusal, word for word.
type denial struct {
	claims []gateway.Claim
	denied int
	key    string
	made   time.Duration
	until  time.Duration
}

func newDenials(ttl time.Duration) *denials {
	return &denials{ttl: ttl, known: make(map[identity]denial), names: make(map[string]identity)}
}

// find repeats a refusal of the same claims, and returns -1 where there is none.
func (d *denials) find(claims []gateway.Claim, now time.Duration) int {
	if d.count.Load() == 0 {
		return -1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range claims {
		past, found := d.known[keyed(&claims[i])]
		if !found || !past.covers(claims) {
			continue
		}
		if now < past.made || now >= past.until {
			d.remove(past)
			continue
		}
		for j := range claims {
			c, p := &claims[j], &past.claims[j]
			c.Mark, c.Remaining = 0, p.Remaining
			c.Reset, c.RetryAfter = max(p.Reset-(now-past.made), 0), max(p.RetryAfter-(now-past.made), 0)
		}
		return past.denied
	}
	return -1
}

// covers reports whether claims are refused if these are: they are about the same limits, and ask for no less where it matters.
func (d *denial) covers(claims []gateway.Claim) bool {
	return slices.EqualFunc(d.claims, claims, func(p, c gateway.Claim) bool {
		return keyed(&p) == keyed(&c) && p.Limit.N == c.Limit.N && (p.RetryAfter == 0 || p.Cost <= c.Cost)
	})
}

// keep remembers a refusal for as long as it is sure.
func (d *denials) keep(claims []gateway.Claim, denied int, now time.Duration) {
	lasts := min(claims[denied].RetryAfter, d.ttl)
	if lasts <= 0 {
		return
	}
	kept := slices.Clone(claims)
	for i := range kept { // the names may be pieces of something larger, which must not be kept alive by them
		kept[i].Subject, kept[i].Tenant = strings.Clone(kept[i].Subject), strings.Clone(kept[i].Tenant)
	}
	past := denial{claims: kept, denied: denied, key: keyOf(&kept[denied]), made: now, until: now + lasts}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDenials {
		d.makeRoom(now)
	}
	d.known[keyed(&kept[denied])] = past
	d.names[past.key] = keyed(&kept[denied])
	d.count.Store(int64(len(d.known)))
}

// forget lets a window be asked for again, since units have come back to it.
func (d *denials) forget(key string) {
	if d.count.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, found := d.names[key]; found {
		d.remove(d.known[id])
	}
}

func (d *denials) remove(past denial) {
	delete(d.known, keyed(&past.claims[past.denied]))
	delete(d.names, past.key)
	d.count.Store(int64(len(d.known)))
}

// makeRoom drops what is over, or everything: all of it can be asked for again.
func (d *denials) makeRoom(now time.Duration) {
	for _, past := range d.known {
		if now >= past.until {
			d.remove(past)
		}
	}
	if len(d.known) >= maxDenials {
		clear(d.known)
		clear(d.names)
	}
}
