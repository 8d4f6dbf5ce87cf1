package gateway

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// callKind is what calls have in common that count in the same series. There are as many kinds as there are such series: models are those
// that the config names.
type callKind struct {
	surface string
	model   string
	status  int
	cache   CacheResult
}

// callSeries are the series that each call of a kind counts in.
type callSeries struct {
	requests prometheus.Counter
	duration prometheus.Observer
	overhead prometheus.Observer
	cache    prometheus.Counter // nil where no cache was on the way
}

// knownSeries finds series without joining and hashing labels for each call. Readers take no lock: each new kind makes a new map.
type knownSeries struct {
	current atomic.Pointer[map[callKind]*callSeries]
	adding  sync.Mutex
}

// of finds the series of a kind of calls.
func (k *knownSeries) of(kind callKind, m *metrics) *callSeries {
	if s, ok := k.known()[kind]; ok {
		return s
	}
	k.adding.Lock()
	defer k.adding.Unlock()
	if s, ok := k.known()[kind]; ok {
		return s
	}
	next := make(map[callKind]*callSeries)
	maps.Copy(next, k.known())
	code := strconv.Itoa(kind.status)
	s := &callSeries{
		requests: m.requests.WithLabelValues(kind.surface, kind.model, code),
		duration: m.duration.WithLabelValues(kind.surface, code),
		overhead: m.overhead.WithLabelValues(kind.surface),
	}
	if kind.cache != CacheNone {
		s.cache = m.cache.WithLabelValues(kind.surface, string(kind.cache))
	}
	next[kind] = s
	k.current.Store(&next)
	return s
}

func (k *knownSeries) known() map[callKind]*callSeries {
	if known := k.current.Load(); known != nil {
		return *known
	}
	return nil
}
