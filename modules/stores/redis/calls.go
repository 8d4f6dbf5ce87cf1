package redis

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// admission is a call in progress.
type admission struct {
	mark    int64
	lease   string // what its slots are called in Redis; empty where no claim is about concurrency
	windows []window
	charged bool            // whether Redis has charged the windows
	shadow  []gateway.Claim // the claims as the shadow left them; nil where it does not count the call

	few [4]window // most calls have no more
}

// calls are the calls in progress, by the mark that their claims carry.
type calls struct {
	mu       sync.Mutex
	open     map[int64]*admission
	leases   int  // how many of them hold slots
	renewing bool // whether somebody renews these
}

// processName begins the names of this process's leases. It is different for each limiter that was ever made.
func processName() string { return rand.Text()[:12] + "-" }

// begin enters an admitted call.
func (l *Limiter) begin(call *admission, claims []gateway.Claim) {
	for i := range claims {
		claims[i].Mark = call.mark
	}
	l.calls.mu.Lock()
	defer l.calls.mu.Unlock()
	l.calls.open[call.mark] = call
	if call.lease == "" {
		return
	}
	l.calls.leases++
	if !l.calls.renewing && l.ctx.Err() == nil {
		l.calls.renewing = true
		l.renewal.Go(l.renewForever)
	}
}

// end takes out the call that claims belong to, and leaves them holding nothing; nil where they hold nothing already.
func (l *Limiter) end(claims []gateway.Claim) *admission {
	var mark int64
	for i := range claims {
		mark = max(mark, claims[i].Mark)
		claims[i].Mark = 0
	}
	l.calls.mu.Lock()
	defer l.calls.mu.Unlock()
	call := l.calls.open[mark]
	if call == nil {
		return nil
	}
	delete(l.calls.open, mark)
	if call.lease != "" {
		l.calls.leases--
	}
	return call
}

// Settle ends an admitted call; see [gateway.Limiter]. It does not wait for Redis. Tokens that were reserved and not used go back to the moment of the
// reservation; tokens used beyond it count from now, even if that is more than N. What cannot be told to Redis stays charged until
// it leaves its window, and slots until their lease runs out.
func (l *Limiter) Settle(ctx context.Context, claims []gateway.Claim) {
	call := l.end(claims)
	if call == nil {
		return
	}
	if call.shadow != nil {
		for i := range claims {
			call.shadow[i].Actual = claims[i].Actual
		}
		l.shadow.Settle(ctx, call.shadow)
	}
	l.correct(ctx, call, func(w *window) int64 {
		switch claim := &claims[w.claim]; {
		case claim.Limit.Kind == gateway.LimitConcurrency:
			return w.charge
		case claim.Limit.Kind == gateway.LimitTokens && call.charged:
			return max(w.charge-max(claim.Actual, 0), -maxUnits)
		}
		return 0
	})
}

// Cancel takes an admission back; see [gateway.Limiter].
func (l *Limiter) Cancel(ctx context.Context, claims []gateway.Claim) {
	call := l.end(claims)
	if call == nil {
		return
	}
	if call.shadow != nil {
		l.shadow.Cancel(ctx, call.shadow)
	}
	l.correct(ctx, call, func(w *window) int64 {
		if call.charged || w.form == formLeases {
			return w.charge
		}
		return 0
	})
}

// correct gives units back, or charges what is below zero on top.
func (l *Limiter) correct(ctx context.Context, call *admission, units func(*window) int64) {
	ctx = context.WithoutCancel(ctx)
	var scripts []invocation
	for windows := range decidedAtOnce(call.windows, l.apart.Load()) {
		for i := range windows {
			if units(&windows[i]) != 0 {
				scripts = append(scripts, l.settling(ctx, call, windows, units))
				break
			}
		}
	}
	if len(scripts) == 0 {
		return
	}
	keys := make([]string, len(call.windows))
	for i := range call.windows {
		keys[i] = call.windows[i].key
	}
	l.settler.settle(ctx, settlement{scripts, keys, func() {
		for _, key := range keys {
			l.denials.forget(key)
		}
	}})
}

// settling is the call of scripts/settle.lua for those windows that have units to correct.
func (l *Limiter) settling(ctx context.Context, call *admission, windows []window, units func(*window) int64) invocation {
	args := make([]any, 3, 6+6*len(windows))
	for i := range windows {
		if units(&windows[i]) != 0 {
			args = append(args, windows[i].key)
		}
	}
	args[2] = len(args) - 3
	args = append(args, l.time(), call.lease, freshID())
	for i := range windows {
		if w := &windows[i]; units(w) != 0 {
			args = append(args, w.form, w.length, units(w), w.at, w.id)
		}
	}
	return settleScript.invocation(ctx, args)
}
