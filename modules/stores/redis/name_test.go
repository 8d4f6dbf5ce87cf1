package redis

import (
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestKeysTellTenantSubjectKindAndWindow(t *testing.T) {
	for _, test := range []struct {
		tenant, subject string
		kind            gateway.LimitKind
		length          time.Duration
		key             string
	}{
		{"team:ml", "key:k_9f3", gateway.LimitRequests, time.Hour, "rate_limit:{team:ml}:key:k_9f3:requests:3600"},
		{"", "key:k_9f3", gateway.LimitTokens, time.Minute, "rate_limit:{key:k_9f3}:key:k_9f3:tokens:60"},
		{"", "key:a", gateway.LimitConcurrency, 0, "rate_limit:{key:a}:key:a:concurrency"},
		{"", "key:a", gateway.LimitRequests, 1500 * time.Millisecond, "rate_limit:{key:a}:key:a:requests:1500ms"},
		{"", "key:a", gateway.LimitRequests, 1500 * time.Nanosecond, "rate_limit:{key:a}:key:a:requests:2us"},
		{"a}b", "zone:it's 10% {of} ü", gateway.LimitRequests, time.Second, "rate_limit:{a%7Db}:zone:it%27s%2010%25%20%7Bof%7D%20%C3%BC:requests:1"},
		{"", "", gateway.LimitRequests, time.Second, "rate_limit:{%}:%:requests:1"},
	} {
		claim := gateway.Claim{Tenant: test.tenant, Subject: test.subject, Limit: gateway.Limit{Kind: test.kind, Window: test.length}}
		if got := keyOf(&claim); got != test.key {
			t.Errorf("key is %s, want %s", got, test.key)
		}
	}
}

func TestKeysAreSafeInAShellAndDifferWhereTheirClaimsDo(t *testing.T) {
	safe := regexp.MustCompile(`^rate_limit:\{[A-Za-z0-9._:%-]+\}:[A-Za-z0-9._:%-]+$`)
	draw := rapid.Custom(func(t *rapid.T) gateway.Claim {
		return gateway.Claim{Tenant: rapid.String().Draw(t, "tenant"), Subject: rapid.String().Draw(t, "subject"),
			Limit: gateway.Limit{Kind: gateway.LimitRequests, Window: time.Duration(rapid.IntRange(1, 3).Draw(t, "window")) * time.Second}}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if !safe.MatchString(keyOf(&a)) {
			t.Fatalf("%q is not safe", keyOf(&a))
		}
		if (keyOf(&a) == keyOf(&b)) != (keyed(&a) == keyed(&b)) {
			t.Fatalf("%+v and %+v: %s and %s", a, b, keyOf(&a), keyOf(&b))
		}
	})
}
