// Package headroom spares a small heap most of its garbage collections.
//
// Go collects when the heap has doubled. A gateway holds little and allocates much, each call some kilobytes that are garbage as it
// ends: where 8 MB live, each 8 MB of garbage are collected, many times a second under load. With room for 32 MB between two
// collections it is a quarter as often, and a heap larger than those 32 MB is collected as Go does by itself.
//
// The room is virtual until calls need it: a gateway at rest is as small as before.
package headroom

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// room is how much may be allocated between two collections, at least, in bytes.
const room = 32 << 20

// goPercent is Go's own setting of GOGC.
const goPercent = 100

// Give has the process collect less often from now on, for as long as it lives. Where the environment has GOGC, the operator's setting
// holds, and nothing is done. GOMEMLIMIT bounds the heap as ever.
var Give = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" {
		newPacer(debug.SetGCPercent).watch()
	}
})

// pacer sets the percentage anew after each collection, since what it is a percentage of has changed.
type pacer struct {
	set     func(percent int) int // debug.SetGCPercent
	last    int
	samples []metrics.Sample
}

func newPacer(set func(int) int) *pacer {
	return &pacer{set: set, last: goPercent, samples: []metrics.Sample{
		// What Go adds the percentage of, see https://go.dev/doc/gc-guide#GOGC.
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"},
		{Name: "/gc/scan/globals:bytes"},
	}}
}

// watch has adjust called after each collection: its object lives until the next one.
func (p *pacer) watch() {
	object := new([64]byte) // too large to share its memory with another, which might live longer
	runtime.SetFinalizer(object, func(*[64]byte) {
		p.adjust()
		p.watch()
	})
}

func (p *pacer) adjust() {
	metrics.Read(p.samples)
	var base uint64
	for _, sample := range p.samples {
		base += sample.Value.Uint64()
	}
	// Each setting stops all goroutines for a moment, so small changes are left alone.
	if percent := percentFor(base); percent < p.last-p.last/8 || percent > p.last+p.last/8 {
		p.set(percent)
		p.last = percent
	}
}

// least is what is taken for the base where there is less. It bounds the percentage, which holds for whatever there is by the next collection.
const least = 4 << 20

// percentFor is the percentage that leaves the room.
func percentFor(base uint64) int {
	return max(goPercent, int(100*room/max(base, least)))
}
