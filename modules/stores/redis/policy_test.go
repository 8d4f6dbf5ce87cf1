package redis

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

func TestTheErrorPolicyDecidesWhereRedisIsDown(t *testing.T) {
	s := startServer(t)
	s.kill()
	call := func() []gateway.Claim {
		return []gateway.Claim{requests("key:a", 2, time.Hour), concurrency("key:a", 9)}
	}

	deny := openLimiter(t, s.client(), Deny, nil)
	_, err := deny.Admit(t.Context(), call())
	var e *dialect.Error
	if !errors.As(err, &e) || e.HTTPStatus() != 503 || e.RetryAfter <= 0 {
		t.Errorf("error is %v, want a 503 that says when to come back", err)
	}

	allow := openLimiter(t, s.client(), Allow, nil)
	for range 5 {
		claims := admit(t, allow, -1, call()...)
		allow.Settle(t.Context(), claims)
	}

	local := openLimiter(t, s.client(), Local, memory.NewLimiter())
	for range 2 {
		local.Settle(t.Context(), admit(t, local, -1, call()...))
	}
	if got := admit(t, local, 0, call()...); got[0].RetryAfter <= 0 || got[1].Remaining != 9 {
		t.Errorf("claims say %+v", got)
	}
}

func TestAGatewayThatLosesRedisBeginsWithWhatItHasAdmitted(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.client(), Local, memory.NewLimiter())
	await(t, "redis", func() bool { return l.client.Ping(t.Context()) == nil })
	call := admit(t, l, -1, requests("key:a", 3, time.Hour), tokens("key:a", 100, 60, time.Hour))
	admit(t, l, -1, requests("key:a", 3, time.Hour))
	call[1].Actual = 10
	l.Settle(t.Context(), call)
	s.kill()
	if got := admit(t, l, -1, requests("key:a", 3, time.Hour), tokens("key:a", 100, 80, time.Hour)); got[0].Remaining != 0 || got[1].Remaining != 10 {
		t.Errorf("remaining %d and %d, want 0 and 10", got[0].Remaining, got[1].Remaining)
	}
	admit(t, l, 0, requests("key:a", 3, time.Hour))
}

func TestAKeyOfTheWrongTypeIsNoReasonToGiveRedisUp(t *testing.T) {
	s := startServer(t)
	l := openLimiter(t, s.patient(), Deny, nil)
	s.do("LPUSH", "rate_limit:{key:a}:key:a:requests:60", "not ours")
	for range 2 * openAfter {
		if _, err := l.Admit(t.Context(), []gateway.Claim{requests("key:a", 3, time.Minute)}); err == nil {
			t.Fatal("admitted")
		}
	}
	admit(t, l, -1, requests("key:b", 3, time.Minute))
}

func TestAServerThatIsDownAtTheStartIsJoinedWhenItComes(t *testing.T) {
	s := startServer(t)
	s.kill()
	log, logs := observed()
	client := newClient(t, s.url(), DefaultTimeout, log)
	l := openLimiter(t, client, Local, memory.NewLimiter())
	for range 2 * openAfter {
		admit(t, l, -1, requests("key:a", 100, time.Hour))
	}
	if client.Up() {
		t.Error("the breaker is closed")
	}
	s.start()
	since := s.counting()
	await(t, "the limiter to ask redis", func() bool {
		admit(t, l, -1, requests("key:b", 100_000, time.Hour))
		return since() > 0 && client.Up()
	})
	if got := logs.FilterLevelExact(zap.WarnLevel).Len() + logs.FilterLevelExact(zap.InfoLevel).Len(); got != 2 {
		t.Errorf("%d lines in the log, want 2: %v", got, logs.All())
	}
}
