package analyze

import (
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// stats counts how the cache took part in calls of this surface, since the process began.
type stats struct {
	hits, misses        atomic.Int64
	hitNanos, missNanos atomic.Int64
}

// pool keeps the numbers over reloads: the next config takes them up before the former one lets go.
var pool = caddy.NewUsagePool()

const statsKey = "stats"

func acquireStats() *stats {
	value, _ := pool.LoadOrStore(statsKey, new(stats))
	return value.(*stats)
}

func releaseStats() error {
	_, err := pool.Delete(statsKey)
	return err
}

// count takes note of a call. One that shared the answer of an identical call counts as a hit.
func (s *stats) count(result gateway.CacheResult, took time.Duration) {
	switch result {
	case gateway.CacheHit, gateway.CacheCollapsed, gateway.CacheStale:
		s.hits.Add(1)
		s.hitNanos.Add(int64(took))
	case gateway.CacheMiss:
		s.misses.Add(1)
		s.missNanos.Add(int64(took))
	}
}

// cacheStats is the answer of /v1/analyze/cache/stats.
type cacheStats struct {
	TotalEntries int64   `json:"total_entries"`
	Hits         int64   `json:"hits"`
	Misses       int64   `json:"misses"`
	HitRate      float64 `json:"hit_rate"`            // 0 to 1
	MemoryMB     float64 `json:"memory_mb"`           // in units of 1024 * 1024 bytes
	AvgHit       float64 `json:"avg_hit_latency_ms"`  // milliseconds
	AvgMiss      float64 `json:"avg_miss_latency_ms"` // milliseconds
}

func (s *stats) snapshot(store gateway.AnswerStats) cacheStats {
	hits, misses := s.hits.Load(), s.misses.Load()
	return cacheStats{
		TotalEntries: store.Entries,
		Hits:         hits,
		Misses:       misses,
		HitRate:      round(ratio(hits, hits+misses), 4),
		MemoryMB:     round(float64(store.Bytes)/(1<<20), 2),
		AvgHit:       round(ratio(s.hitNanos.Load(), hits)/1e6, 3),
		AvgMiss:      round(ratio(s.missNanos.Load(), misses)/1e6, 3),
	}
}

// ratio is 0 where nothing was counted yet.
func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func round(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}

func (h *Handler) serveStats(call *gateway.Call, w http.ResponseWriter, r *http.Request) error {
	kept, err := h.app.Answers().AnswerStats(r.Context())
	if err != nil {
		return call.Fail(w, r, &dialect.Error{Kind: dialect.StoreUnavailable, Message: "the cache does not answer now; try again", Cause: err})
	}
	return call.ServeJSON(w, http.StatusOK, h.stats.snapshot(kept))
}
