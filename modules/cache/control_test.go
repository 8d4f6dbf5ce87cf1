package cache

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestParseControlReadsRequestDirectives(t *testing.T) {
	const none = time.Duration(-1)
	for _, tt := range []struct {
		name   string
		values []string
		want   control
	}{
		{"nothing", nil, control{maxAge: none}},
		{"empty", []string{""}, control{maxAge: none}},
		{"no-store", []string{"no-store"}, control{noStore: true, maxAge: none}},
		{"no-cache", []string{"no-cache"}, control{noCache: true, maxAge: none}},
		{"only-if-cached", []string{"only-if-cached"}, control{onlyIfCached: true, maxAge: none}},
		{"any case", []string{"No-Store, ONLY-if-cached"}, control{noStore: true, onlyIfCached: true, maxAge: none}},
		{"white space", []string{" no-cache ,\tmax-age=5 "}, control{noCache: true, maxAge: 5 * time.Second}},
		{"several fields", []string{"no-store", "max-age=7"}, control{noStore: true, maxAge: 7 * time.Second}},
		{"max-age of zero", []string{"max-age=0"}, control{maxAge: 0}},
		{"quoted max-age", []string{`max-age="60"`}, control{maxAge: time.Minute}},
		{"max-age without a number", []string{"max-age"}, control{maxAge: none}},
		{"max-age that is no number", []string{"max-age=soon"}, control{maxAge: none}},
		{"negative max-age", []string{"max-age=-1"}, control{maxAge: none}},
		{"max-age beyond RFC 9111's largest", []string{"max-age=9999999999"}, control{maxAge: 1 << 31 * time.Second}},
		{"unknown directives", []string{"no-transform, stale-if-error=4"}, control{maxAge: none}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseControl(tt.values); got != tt.want {
				t.Errorf("parseControl(%q) = %+v, want %+v", tt.values, got, tt.want)
			}
		})
	}
}

func FuzzParseControl(f *testing.F) {
	for _, seed := range []string{"", "no-cache", "max-age=1", `max-age="x`, ",,=,", "max-age=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := parseControl([]string{value})
		if got.maxAge < -1 || got.maxAge > 1<<31*time.Second {
			t.Errorf("%q has a max-age of %d", value, got.maxAge)
		}
		// A list in one field means the same as in two.
		if again := parseControl([]string{value, ""}); again != got {
			t.Errorf("%q means %+v, and %+v with an empty field behind it", value, got, again)
		}
	})
}

func TestHitHeadersTellAgeAndTimeToLive(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		name             string
		created, expires time.Duration
		age, status      string
	}{
		{"fresh", 0, time.Minute, "0", "llm_cache; hit; ttl=60"},
		{"aged", -90500 * time.Millisecond, 29500 * time.Millisecond, "90", "llm_cache; hit; ttl=29"},
		{"made by a clock ahead of ours", time.Second, time.Minute, "0", "llm_cache; hit; ttl=60"},
		{"about to expire", -time.Hour, -time.Second, "3600", "llm_cache; hit; ttl=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := make(http.Header)
			setHit(h, &gateway.Answer{Created: now.Add(tt.created), Expires: now.Add(tt.expires)}, now)
			if h.Get("Age") != tt.age || h.Get("Cache-Status") != tt.status || h.Get("X-Cache") != "HIT" {
				t.Errorf("headers are %v", h)
			}
		})
	}
}
