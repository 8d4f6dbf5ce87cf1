// Package headroom spares a heap most of its garbage collections.
//
// Go collects when the heap has doubled. A gateway holds little and allocates much, each call some kilobytes that are garbage as it
// ends: where 8 MB live, each 8 MB of garbage are collected, many times a second under load. With room for 32 MB between two
// collections it is a quarter as often. Where they are still close upon each other, the room grows, to 128 MB at most, and it is 32 MB again
// once the load is over. A heap that is larger than its room is collected as Go does by itself.
//
// The room is virtual until calls need it: a gateway at rest is as small as before.
package headroom

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// room is how much may be allocated between two collections, at least, in bytes: at rest and at most.
const (
	restRoom = 32 << 20
	mostRoom = 128 << 20
)

// Collections that are closer upon each other than often double the room, and those further apart than seldom end that. In between
// lies more than the factor by which a larger room makes them rarer, so that the room does not go up and down.
const (
	often  = 500 * time.Millisecond
	seldom = 10 * time.Second
)

// goPercent is Go's own setting of GOGC.
const goPercent = 100

// Give has the process collect less often from now on, for as long as it lives. Where the environment has GOGC, the operator's setting
// holds, and nothing is done. GOMEMLIMIT bounds the heap as ever.
var Give = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" {
		newPacer(debug.SetGCPercent, time.Now).watch()
	}
})

// pacer sets the percentage anew after each collection, since what it is a percentage of has changed.
type pacer struct {
	set       func(percent int) int // debug.SetGCPercent
	now       func() time.Time
	last      int
	room      uint64
	collected time.Time
	lull      *time.Timer // collects once the load is over, so that what it took is given back
	samples   []metrics.Sample
}

func newPacer(set func(int) int, now func() time.Time) *pacer {
	lull := time.AfterFunc(time.Hour, func() { runtime.GC() })
	lull.Stop()
	return &pacer{set: set, now: now, last: goPercent, room: restRoom, collected: now(), lull: lull, samples: []metrics.Sample{
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
	now := p.now()
	p.room = roomAfter(p.room, now.Sub(p.collected))
	p.collected = now
	if p.room > restRoom {
		p.lull.Reset(seldom + time.Millisecond)
	}
	metrics.Read(p.samples)
	var base uint64
	for _, sample := range p.samples {
		base += sample.Value.Uint64()
	}
	if percent := percentFor(base, p.room); percent != p.last {
		p.set(percent)
		p.last = percent
	}
}

// roomAfter is the room that follows a collection so long after the one before.
func roomAfter(room uint64, since time.Duration) uint64 {
	switch {
	case since < often:
		return min(2*room, mostRoom)
	case since > seldom:
		return restRoom
	}
	return room
}

// least is what is taken for the base where there is less. It bounds the percentage, which holds for whatever there is by the next collection.
const least = 4 << 20

// percentFor is the percentage that leaves the room.
func percentFor(base, room uint64) int {
	return max(goPercent, int(100*room/max(base, least)))
}
