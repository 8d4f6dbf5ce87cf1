package storetest

import (
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// window is long enough that no implementation's rounding shows.
const window = time.Hour

// late is how much later than an exact limiter an implementation may give units back.
const late = window / 60

// Limiter checks that a limiter behaves as [gateway.Limiter] says. The function given opens an empty one and
// tells how to advance its clock, which otherwise stands still.
func Limiter(t *testing.T, open func(t *testing.T) (limiter gateway.Limiter, advance func(time.Duration))) {
	behaviours := []struct {
		name  string
		check func(l *limiterTest)
	}{
		{"admits n and refuses the next", admitsN},
		{"admits again when the oldest leaves the window", admitsWhenOldestLeaves},
		{"has no boundary where two bursts meet", hasNoBoundary},
		{"says when to come back", saysWhenToComeBack},
		{"says how much is left and when it grows", saysWhatIsLeft},
		{"grants all claims or none", grantsAllOrNone},
		{"blames the claim that takes longest", blamesLongest},
		{"counts subjects, kinds and windows apart", countsApart},
		{"shares a window between limits that differ in n", sharesWindow},
		{"charges a window once for each call", chargesOnce},
		{"refuses everything when n is zero", refusesAtZero},
		{"follows n when it changes", followsN},
		{"keeps history when n grows large and small again", keepsHistory},
		{"keeps a large limit exactly", keepsLargeLimit},
		{"takes a cancelled call back", takesBack},
		{"reserves tokens and returns what was not used", returnsTokens},
		{"charges tokens beyond the reservation", chargesExtraTokens},
		{"admits a cost above n when nothing is in use", admitsOversized},
		{"gives slots back when calls end", givesSlotsBack},
		{"does not give back twice", givesBackOnce},
		{"refuses claims that make no sense", refusesNonsense},
		{"counts right under contention", countsUnderContention},
		{"does not deadlock on claims in any order", doesNotDeadlock},
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			limiter, advance := open(t)
			b.check(&limiterTest{T: t, limiter: limiter, advance: advance})
		})
	}
}

type limiterTest struct {
	*testing.T
	limiter gateway.Limiter
	advance func(time.Duration)
}

func requests(subject string, n int64) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitRequests, N: n, Window: window}, Cost: 1}
}

func tokens(subject string, n, cost int64) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitTokens, N: n, Window: window}, Cost: cost}
}

func concurrency(subject string, n int64) gateway.Claim {
	return gateway.Claim{Subject: subject, Limit: gateway.Limit{Kind: gateway.LimitConcurrency, N: n}, Cost: 1}
}

// call asks for one call and returns its claims as the limiter left them.
func (l *limiterTest) call(claims ...gateway.Claim) (denied int, _ []gateway.Claim) {
	l.Helper()
	denied, err := l.limiter.Admit(l.Context(), claims)
	if err != nil {
		l.Fatalf("admitting: %v", err)
	}
	return denied, claims
}

func (l *limiterTest) admitted(claims ...gateway.Claim) []gateway.Claim {
	l.Helper()
	denied, claims := l.call(claims...)
	if denied >= 0 {
		l.Fatalf("refused for claim %d: %+v", denied, claims[denied])
	}
	return claims
}

func (l *limiterTest) refused(denied int, claims ...gateway.Claim) []gateway.Claim {
	l.Helper()
	got, claims := l.call(claims...)
	if got != denied {
		l.Fatalf("denied is %d, want %d; claims: %+v", got, denied, claims)
	}
	return claims
}

func (l *limiterTest) remaining(want int64, claim gateway.Claim) {
	l.Helper()
	if claim.Remaining != want {
		l.Errorf("%d remaining of %s, want %d", claim.Remaining, claim.Limit.Kind, want)
	}
}

// between checks a wait against the exact one, allowing for late return.
func (l *limiterTest) between(what string, got, exact time.Duration) {
	l.Helper()
	if got < exact || got > exact+late {
		l.Errorf("%s is %v, want %v, or up to %v more", what, got, exact, late)
	}
}

func admitsN(l *limiterTest) {
	for range 5 {
		l.admitted(requests("key:a", 5))
	}
	l.refused(0, requests("key:a", 5))
}

func admitsWhenOldestLeaves(l *limiterTest) {
	l.admitted(requests("key:a", 2))
	l.advance(window / 2)
	l.admitted(requests("key:a", 2))
	l.advance(window/2 - time.Second)
	l.refused(0, requests("key:a", 2))
	l.advance(time.Second + late)
	l.admitted(requests("key:a", 2))
	l.refused(0, requests("key:a", 2))
}

func hasNoBoundary(l *limiterTest) {
	l.advance(window - time.Second)
	for range 10 {
		l.admitted(requests("key:a", 10), tokens("key:a", 1000, 100))
	}
	l.advance(2 * time.Second)
	l.refused(0, requests("key:a", 10))
	l.refused(0, tokens("key:a", 1000, 1))
}

func saysWhenToComeBack(l *limiterTest) {
	for _, claim := range []gateway.Claim{requests("key:a", 3), tokens("key:a", 300, 100), requests("key:b", 3)} {
		for range 3 {
			l.admitted(claim)
			l.advance(10 * time.Minute)
		}
		got := l.refused(0, claim)[0]
		l.between("retry after", got.RetryAfter, 30*time.Minute)
		l.advance(got.RetryAfter)
		l.admitted(claim)
	}
}

func saysWhatIsLeft(l *limiterTest) {
	first := l.admitted(requests("key:a", 3), tokens("key:a", 1000, 300), concurrency("key:a", 2))
	l.remaining(2, first[0])
	l.remaining(700, first[1])
	l.remaining(1, first[2])
	l.between("reset of requests", first[0].Reset, window)
	l.between("reset of tokens", first[1].Reset, window)
	if first[2].Reset != 0 {
		l.Errorf("reset of concurrency is %v, want 0", first[2].Reset)
	}

	l.advance(20 * time.Minute)
	second := l.admitted(requests("key:a", 3), tokens("key:a", 1000, 300), concurrency("key:a", 2))
	l.remaining(1, second[0])
	l.between("reset of requests", second[0].Reset, 40*time.Minute)
	third := l.refused(2, requests("key:a", 3), tokens("key:a", 1000, 300), concurrency("key:a", 2))
	l.remaining(1, third[0])
	l.remaining(400, third[1])
	l.remaining(0, third[2])
	l.between("reset of tokens", third[1].Reset, 40*time.Minute)
	if third[0].RetryAfter != 0 || third[2].RetryAfter != 0 {
		l.Errorf("retry after is %v and %v, want 0 where nothing was refused and for concurrency", third[0].RetryAfter, third[2].RetryAfter)
	}
}

func grantsAllOrNone(l *limiterTest) {
	l.admitted(requests("key:a", 1))
	for range 3 {
		l.refused(1, requests("team:x", 5), requests("key:a", 1), tokens("team:x", 50, 10), concurrency("team:x", 1))
	}
	left := l.admitted(requests("team:x", 5), tokens("team:x", 50, 10), concurrency("team:x", 1))
	l.remaining(4, left[0])
	l.remaining(40, left[1])
	l.remaining(0, left[2])
}

func blamesLongest(l *limiterTest) {
	l.admitted(requests("key:early", 1))
	l.advance(10 * time.Minute)
	l.admitted(requests("key:late", 1), concurrency("key:late", 1))
	got := l.refused(2, concurrency("key:late", 1), requests("key:early", 1), requests("key:late", 1))
	l.between("retry after", got[1].RetryAfter, 50*time.Minute)
	l.between("retry after", got[2].RetryAfter, 60*time.Minute)
	l.refused(0, concurrency("key:late", 1))
}

func countsApart(l *limiterTest) {
	shorter := requests("key:a", 1)
	shorter.Limit.Window = window / 2
	l.admitted(requests("key:a", 1))
	l.admitted(requests("key:b", 1))
	l.admitted(shorter)
	l.admitted(tokens("key:a", 1, 1))
	l.admitted(concurrency("key:a", 1))
	l.refused(0, requests("key:a", 1))
	l.refused(0, requests("key:b", 1))
	l.refused(0, shorter)
	l.refused(0, tokens("key:a", 1, 1))
	l.refused(0, concurrency("key:a", 1))
}

func sharesWindow(l *limiterTest) {
	l.admitted(requests("key:a", 2))
	l.admitted(requests("key:a", 3))
	l.refused(0, requests("key:a", 2))
	l.remaining(0, l.admitted(requests("key:a", 3))[0])
}

func chargesOnce(l *limiterTest) {
	for i := range int64(3) {
		got := l.admitted(requests("key:a", 5), concurrency("key:a", 9), requests("key:a", 3), concurrency("key:a", 4))
		l.remaining(4-i, got[0])
		l.remaining(8, got[1])
		l.remaining(2-i, got[2])
		l.remaining(3, got[3])
		l.limiter.Settle(l.Context(), got)
	}
	l.remaining(2, l.refused(1, requests("key:a", 5), requests("key:a", 3))[0])

	l.limiter.Cancel(l.Context(), l.admitted(tokens("key:a", 100, 30), tokens("key:a", 50, 20)))
	l.remaining(0, l.admitted(tokens("key:a", 100, 80), tokens("key:a", 50, 20))[1])
	l.remaining(50, l.refused(1, tokens("key:a", 100, 1), tokens("key:a", 50, 1))[0])
}

func refusesAtZero(l *limiterTest) {
	l.refused(0, requests("key:a", 0))
	l.refused(0, tokens("key:a", 0, 5))
	l.refused(0, concurrency("key:a", 0))
	l.refused(1, requests("key:b", 1), requests("key:b", 0))
	l.admitted(requests("key:b", 1))
}

func followsN(l *limiterTest) {
	for range 4 {
		l.admitted(requests("key:a", 4), tokens("key:a", 40, 10))
	}
	l.refused(0, requests("key:a", 4))
	l.admitted(requests("key:a", 6), tokens("key:a", 60, 10))
	got := l.refused(0, requests("key:a", 2), tokens("key:a", 60, 10))
	l.remaining(0, got[0])
	l.remaining(10, got[1])
	l.between("retry after", got[0].RetryAfter, window)
	l.remaining(0, l.admitted(requests("key:a", 6))[0])
}

func keepsHistory(l *limiterTest) {
	for range 3 {
		l.admitted(requests("key:a", 5))
	}
	l.advance(10 * time.Minute)
	l.remaining(99_996, l.admitted(requests("key:a", 100_000))[0])
	l.advance(10 * time.Minute)
	l.remaining(0, l.admitted(requests("key:a", 5))[0])
	got := l.refused(0, requests("key:a", 5))[0]
	l.between("retry after", got.RetryAfter, 40*time.Minute)
	l.advance(got.RetryAfter)
	l.admitted(requests("key:a", 5))
}

func keepsLargeLimit(l *limiterTest) {
	const n = 20_000
	for range n / 100 {
		claim := requests("key:a", n)
		claim.Cost = 100
		l.admitted(claim)
		l.advance(window / n)
	}
	l.refused(0, requests("key:a", n))
	l.advance(window + late)
	l.remaining(n-1, l.admitted(requests("key:a", n))[0])
}
