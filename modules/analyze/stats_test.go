package analyze

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestStatsAverageByHowTheCacheTookPart(t *testing.T) {
	var s stats
	if got := s.snapshot(gateway.AnswerStats{}); got != (cacheStats{}) {
		t.Errorf("before the first call: %+v", got)
	}
	s.count(gateway.CacheHit, time.Millisecond)
	s.count(gateway.CacheCollapsed, 2*time.Millisecond)
	s.count(gateway.CacheMiss, 400*time.Millisecond)
	s.count(gateway.CacheBypass, time.Hour)
	s.count(gateway.CacheNone, time.Hour)
	want := cacheStats{TotalEntries: 3, Hits: 2, Misses: 1, HitRate: 0.6667, MemoryMB: 1.5, AvgHit: 1.5, AvgMiss: 400}
	if got := s.snapshot(gateway.AnswerStats{Entries: 3, Bytes: 3 << 19}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestStatsCountCallsAndOutliveAReload(t *testing.T) {
	former := newHandler(t, demoOnly, `{}`)
	hits, misses := former.stats.hits.Load(), former.stats.misses.Load()
	for _, result := range []gateway.CacheResult{gateway.CacheMiss, gateway.CacheHit, gateway.CacheHit} {
		serve(t, former, post("/v1/analyze/", `{"prompt":"a"}`), func(w http.ResponseWriter, r *http.Request) error {
			gateway.CallFrom(r).Cache = result
			return says(goodData)(w, r)
		})
	}
	serve(t, former, post("/v1/analyze/", `{"prompt":""}`), nil)

	next := newHandler(t, demoOnly, `{}`)
	if next.stats != former.stats {
		t.Fatal("the next config begins to count anew")
	}
	if h, m := next.stats.hits.Load()-hits, next.stats.misses.Load()-misses; h != 2 || m != 1 {
		t.Errorf("%d hits and %d misses were counted", h, m)
	}
	w := serve(t, next, httptest.NewRequest("GET", "/v1/analyze/cache/stats", nil), nil)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
