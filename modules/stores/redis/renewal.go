package redis

import (
	"context"
	"time"
)

const (
	// slotTTL is how long a slot outlives the process that holds it.
	slotTTL = 30 * time.Second
	// slotRenewal leaves two more attempts when one fails.
	slotRenewal = 10 * time.Second
	// renewedAtOnce bounds how long one script keeps Redis from serving others.
	renewedAtOnce = 500
)

// renewForever renews the leases of calls in progress until there are none.
func (l *Limiter) renewForever() {
	ticker := time.NewTicker(slotRenewal)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
		}
		l.calls.mu.Lock()
		l.calls.renewing = l.calls.leases > 0
		idle := !l.calls.renewing
		l.calls.mu.Unlock()
		if idle {
			return
		}
		l.renew(l.ctx)
	}
}

// renew keeps all calls in progress alive, in one round trip.
func (l *Limiter) renew(ctx context.Context) {
	held := l.held()
	if len(held) == 0 {
		return
	}
	byKey := make(map[string][]any)
	var scripts []invocation
	flush := func(key string) {
		scripts = append(scripts, renewScript.invocation(ctx, byKey[key]))
		delete(byKey, key)
	}
	for _, call := range held {
		for i := range call.windows {
			w := &call.windows[i]
			if w.form != formLeases {
				continue
			}
			args := byKey[w.key]
			if args == nil {
				args = []any{nil, nil, 1, w.key, l.time(), microseconds(slotTTL)}
			}
			byKey[w.key] = append(args, call.lease, w.charge)
			if len(byKey[w.key]) >= 2*renewedAtOnce {
				flush(w.key)
			}
		}
	}
	for key := range byKey {
		flush(key)
	}
	if l.run(ctx, scripts, nil) != nil {
		return // there is another attempt before they run out
	}
	l.endAgain(ctx, held)
}

// held lists the calls in progress that hold slots.
func (l *Limiter) held() []*admission {
	l.calls.mu.Lock()
	defer l.calls.mu.Unlock()
	held := make([]*admission, 0, l.calls.leases)
	if l.calls.leases == 0 {
		return nil
	}
	for _, call := range l.calls.open {
		if call.lease != "" {
			held = append(held, call)
		}
	}
	return held
}

// endAgain gives the slots back of calls that have ended while they were renewed: the renewal may have come last.
func (l *Limiter) endAgain(ctx context.Context, renewed []*admission) {
	var ended []*admission
	l.calls.mu.Lock()
	for _, call := range renewed {
		if l.calls.open[call.mark] == nil {
			ended = append(ended, call)
		}
	}
	l.calls.mu.Unlock()
	for _, call := range ended {
		l.correct(ctx, call, func(w *window) int64 {
			if w.form == formLeases {
				return w.charge
			}
			return 0
		})
	}
}
