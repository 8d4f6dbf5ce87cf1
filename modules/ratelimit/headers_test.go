package ratelimit

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func standing() []gateway.Claim {
	return []gateway.Claim{
		{Limit: gateway.Limit{Kind: gateway.LimitRequests, N: 1_000_000_000, Window: time.Hour}, Remaining: 999_999_999, Reset: time.Second},
		{Limit: gateway.Limit{Kind: gateway.LimitTokens, N: 5000, Window: time.Minute}, Remaining: 12, Reset: 1500 * time.Millisecond},
	}
}

// The values of all fields lie in one array. A handler that adds to one of them must not write into another.
func TestFieldsThatShareAnArrayDoNotTouchEachOther(t *testing.T) {
	want, got, now := make(http.Header), make(http.Header), time.Now()
	setHeaders(want, dialect.OpenAI, standing(), nil, now)
	setHeaders(got, dialect.OpenAI, standing(), nil, now)
	if len(got) != 11 {
		t.Fatalf("%d fields: %v", len(got), got)
	}
	for name := range maps.Clone(got) {
		got.Add(name, "another handler's")
	}
	for name := range got {
		if got[name][0] != want[name][0] || len(got[name]) != 2 {
			t.Errorf("%s is %q, was %q", name, got[name], want[name])
		}
	}
}

func BenchmarkSetHeaders(b *testing.B) {
	claims, now := standing(), time.Now()
	h := make(http.Header)
	b.ReportAllocs()
	for b.Loop() {
		setHeaders(h, dialect.OpenAI, claims, nil, now)
	}
}
