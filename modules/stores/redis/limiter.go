package redis

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Limiter keeps the windows of all limits in Redis, for all gateways. One script decides on all claims, by Redis's own clock. Where
// Redis keeps the windows of several tenants apart, as a Cluster does, these take one script each, in the same round trip, and where
// they disagree, what was granted is given back.
//
// A limit of requests with N up to 10,000 is exact. A larger one, and any limit of tokens, is counted in sixtieths of its window:
// still never more than N in any window, and units come back up to Window/60 late. A cost larger than N is taken as N. Claims of one
// call that share a window are charged once, with the largest cost, and every N holds. A limit with N below 1 refuses everything,
// and its RetryAfter is the whole window. All numbers are exact up to 2^53.
//
// A call in progress holds a lease on its slots, which this process renews: the slots of a process that dies are free after
// 30 seconds.
//
// Each refusal is remembered for a second at most, or until the call would be admitted, so that an exhausted key costs no round trip.
// What Redis cannot decide is decided by the [Policy].
type Limiter struct {
	client *Client
	policy Policy
	shadow gateway.Limiter // nil where the policy needs none
	fleet  *fleet
	clock  func() time.Duration
	faked  bool // whether scripts are told the time of clock, rather than asking Redis
	name   string
	marks  atomic.Int64
	apart  atomic.Bool // whether Redis refuses a script about several tenants

	calls   calls
	denials *denials
	settler *settler
	answers *Answers // which decisions are asked together with; nil where there are none
	ctx     context.Context
	stop    context.CancelFunc
	renewal sync.WaitGroup
}

var _ gateway.LookingLimiter = (*Limiter)(nil)

// newLimiter makes a limiter over a client, which stays the caller's. shadow counts what this process admits, and decides where the
// policy is [Local]. Nothing is asked of Redis, and no goroutine runs, before the limiter is used.
func newLimiter(client *Client, policy Policy, shadow gateway.Limiter) *Limiter {
	start := time.Now()
	l := &Limiter{
		client: client, policy: policy, fleet: newFleet(client),
		clock: func() time.Duration { return time.Since(start) },
		name:  processName(), calls: calls{open: make(map[int64]*admission)}, denials: newDenials(denialTTL),
	}
	if policy == Local {
		l.shadow = shadow
	}
	l.apart.Store(client.cluster())
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.settler = newSettler(l.ctx, func(ctx context.Context, scripts []invocation) error { return l.run(ctx, scripts, nil) })
	client.Watch(l.observeMode)
	client.TryWith(l.fleet.beat)
	return l
}

// askedAgain is how often a refusal is asked for again at most. While some calls' units are awaited, other calls' units are on their way, so
// that of many clients of one window one may have bad luck several times.
const askedAgain = 20

// Admit decides on all claims at once; see [gateway.Limiter]. It takes no longer than the client's timeout, whatever ctx says, so
// that a caller who leaves does not leave a decision half known. A refusal by a window that units are on their way back to is asked for
// again once they have arrived.
func (l *Limiter) Admit(ctx context.Context, claims []gateway.Claim) (int, error) {
	return l.admit(ctx, claims, nil)
}

// AdmitAndLook decides, and looks for an answer in the same round trip; see [gateway.LookingLimiter].
func (l *Limiter) AdmitAndLook(ctx context.Context, claims []gateway.Claim, key gateway.AnswerKey) (denied int, answer *gateway.Answer, looked bool, err error) {
	if l.answers == nil {
		denied, err = l.Admit(ctx, claims)
		return denied, nil, false, err
	}
	first := l.answers.look(ctx, key)
	if first.answer != nil {
		denied, err = l.Admit(ctx, claims)
		return denied, first.answer, true, err
	}
	second := first // on the heap, where the first need not be
	if denied, err = l.admit(ctx, claims, &second); err == nil && denied < 0 && second.get != nil {
		answer, looked = second.found(ctx)
	}
	return denied, answer, looked, err
}

func (l *Limiter) admit(ctx context.Context, claims []gateway.Claim, look *look) (int, error) {
	if err := check(claims); err != nil || len(claims) == 0 {
		return -1, err
	}
	idle := l.settler.idle()
	if idle {
		if denied := l.denials.find(claims, l.clock()); denied >= 0 {
			return denied, nil
		}
	}
	l.fleet.join()
	call := l.newAdmission(claims)
	if !idle && l.settler.about(call.windows) == nil {
		if denied := l.denials.find(claims, l.clock()); denied >= 0 {
			return denied, nil
		}
	}
	before := l.settler.changes(call.windows)
	denied, err := l.ask(ctx, call, claims, look)
	for again := 0; denied >= 0 && again < askedAgain; again++ {
		told := l.settler.about(call.windows)
		if told == nil && l.settler.changes(call.windows) == before {
			break
		}
		if told != nil {
			<-told
		}
		before = l.settler.changes(call.windows)
		denied, err = l.ask(ctx, call, claims, nil)
	}
	switch {
	case err != nil:
		return l.without(ctx, call, claims, err)
	case denied >= 0:
		l.denials.keep(claims, denied, l.clock())
		if l.settler.changes(call.windows) != before { // units have come back since, whose arrival forgot nothing
			l.denials.forget(keyOf(&claims[denied]))
		}
		return denied, nil
	}
	call.charged = true
	l.record(ctx, call, claims)
	l.begin(call, claims)
	return -1, nil
}

// Close ends what the limiter has begun. Calls in progress keep their slots until their leases run out.
func (l *Limiter) Close() {
	l.calls.mu.Lock()
	l.stop()
	l.calls.mu.Unlock()
	l.settler.close()
	l.renewal.Wait()
	l.fleet.close()
}

// time is what scripts are told: nothing, so that they ask Redis.
func (l *Limiter) time() any {
	if l.faked {
		return microseconds(l.clock())
	}
	return ""
}

// run asks Redis, and looks for an answer on the way where look is not nil.
func (l *Limiter) run(ctx context.Context, calls []invocation, look *look) error {
	return l.client.Do(context.WithoutCancel(ctx), func(ctx context.Context, rdb goredis.UniversalClient) error {
		return run(ctx, rdb, l.client.batches, calls, look.command(ctx))
	})
}

// ask has scripts/admit.lua decide, and writes what it says into call and claims.
func (l *Limiter) ask(ctx context.Context, call *admission, claims []gateway.Claim, look *look) (int, error) {
	var scripts []invocation
	apart := l.apart.Load()
	for windows := range decidedAtOnce(call.windows, apart) {
		scripts = append(scripts, l.admitting(ctx, call, windows, claims))
	}
	err := l.run(ctx, scripts, look)
	if err != nil && len(scripts) == 1 {
		if !apart && goredis.HasErrorPrefix(scripts[0].Err(), "CROSSSLOT") { // a Cluster behind a plain address: nothing has run
			l.apart.Store(true)
			return l.ask(ctx, call, claims, look)
		}
		return -1, err
	}
	refused, i := false, 0
	var granted [][]window
	for windows := range decidedAtOnce(call.windows, apart) {
		if reply := scripts[i].Val(); scripts[i].Err() == nil {
			read(windows, claims, reply[1:])
			if reply[0] == 1 {
				granted = append(granted, windows)
			} else {
				refused = true
			}
		}
		i++
	}
	if err == nil && !refused {
		return -1, nil
	}
	l.takeBack(ctx, call, claims, granted)
	if err != nil {
		return -1, err
	}
	return longest(claims), nil
}

// admitting is the call of scripts/admit.lua for windows that are decided on at once.
func (l *Limiter) admitting(ctx context.Context, call *admission, windows []window, claims []gateway.Claim) invocation {
	args := make([]any, 3, 7+5*len(windows)+len(claims))
	args[2] = len(windows)
	for i := range windows {
		args = append(args, windows[i].key)
	}
	args = append(args, l.time(), call.lease, microseconds(slotTTL), freshID())
	for i := range windows {
		w := &windows[i]
		args = append(args, w.form, w.length, w.charge, w.limits)
		for j := w.claim; j < len(claims); j++ {
			if keyed(&claims[j]) == keyed(&claims[w.claim]) {
				args = append(args, min(claims[j].Limit.N, maxUnits))
			}
		}
	}
	return admitScript.invocation(ctx, args)
}

// freshID numbers a window that has to be made.
func freshID() int64 { return rand.Int64N(maxUnits) }

// read writes what scripts/admit.lua says of its windows into them and into their claims. A claim that was refused has a
// Mark for as long as the decision is being made: -1.
func read(windows []window, claims []gateway.Claim, reply []int64) {
	for i := range windows {
		w := &windows[i]
		w.used, w.id, w.at = reply[0], reply[1], reply[2]
		reply = reply[3:]
		for j := w.claim; j < len(claims); j++ {
			c := &claims[j]
			if keyed(c) != keyed(&claims[w.claim]) {
				continue
			}
			c.Remaining = max(min(c.Limit.N, maxUnits)-w.used, 0)
			c.Reset = time.Duration(reply[0]) * time.Microsecond
			c.RetryAfter, c.Mark = 0, 0
			if reply[1] >= 0 {
				c.RetryAfter, c.Mark = time.Duration(reply[1])*time.Microsecond, refusedMark
			}
			reply = reply[2:]
		}
	}
}

// refusedMark is on a claim that has been refused, while its call is being decided on.
const refusedMark = -1

// longest is the refused claim that takes longest to become free.
func longest(claims []gateway.Claim) int {
	denied := -1
	for i := range claims {
		if claims[i].Mark == refusedMark && (denied < 0 || claims[i].RetryAfter > claims[denied].RetryAfter) {
			denied = i
		}
		claims[i].Mark = 0
	}
	return denied
}

// takeBack undoes what some tenants' scripts have granted, and makes their claims say how they stood before.
func (l *Limiter) takeBack(ctx context.Context, call *admission, claims []gateway.Claim, granted [][]window) {
	var scripts []invocation
	for _, windows := range granted {
		scripts = append(scripts, l.settling(ctx, call, windows, func(w *window) int64 { return w.charge }))
		for i := range windows {
			w := &windows[i]
			for j := w.claim; j < len(claims); j++ {
				if c := &claims[j]; keyed(c) == keyed(&claims[w.claim]) {
					c.Remaining += w.charge
					if w.used == w.charge {
						c.Reset = 0
					}
				}
			}
		}
	}
	if len(scripts) > 0 {
		// Where this fails, the units stay charged until they leave their window: too little is granted, never too much.
		_ = l.run(ctx, scripts, nil)
	}
}

func (l *Limiter) newAdmission(claims []gateway.Claim) *admission {
	call := &admission{mark: l.marks.Add(1)}
	call.windows = plan(call.few[:0], claims)
	for i := range call.windows {
		if call.windows[i].form == formLeases {
			call.lease = l.name + strconv.FormatInt(call.mark, 36)
			break
		}
	}
	return call
}
