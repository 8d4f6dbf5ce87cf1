package headroom

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestThereIsRoomWhateverTheHeapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint64Range(0, 1<<40).Draw(t, "base")
		percent := percentFor(base)
		if percent < goPercent {
			t.Errorf("%d bytes are collected more often than Go does: %d%%", base, percent)
		}
		between := float64(base) * float64(percent) / 100
		if base >= least && between < float64(room)*0.99 {
			t.Errorf("%d bytes leave %.0f between two collections", base, between)
		}
		if most := max(float64(room), float64(base)); between > most {
			t.Errorf("%d bytes leave %.0f between two collections, more than the room and than Go does", base, between)
		}
	})
}

// collections is how often the collector runs while so many bytes of garbage are made.
func collections(bytes int) uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range bytes / 1024 {
		sink = make([]byte, 1024)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

var sink []byte

func TestASmallHeapIsCollectedSeldomAndALargeOneAsEver(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(goPercent))
	often := collections(8 * room)
	p := newPacer(debug.SetGCPercent)
	p.adjust()
	if p.last <= goPercent {
		t.Fatalf("a small heap is collected at %d%%", p.last)
	}
	if seldom := collections(8 * room); seldom > 16 || seldom >= often { // some is made while the collector runs
		t.Errorf("%d MB of garbage are collected in %d runs, and in %d without room", 8*room>>20, seldom, often)
	}
	large := make([]byte, 4*room)
	runtime.GC()
	p.adjust()
	if p.last != goPercent {
		t.Errorf("a large heap is collected at %d%%", p.last)
	}
	runtime.KeepAlive(large)
}

func TestTheRoomIsGivenAnewAfterEachCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(goPercent))
	set := make(chan int)
	p := newPacer(func(percent int) int {
		set <- percent
		return goPercent
	})
	p.watch()
	next := func() int {
		for {
			runtime.GC() // one may begin before the last one's object is there to be collected
			select {
			case percent := <-set:
				return percent
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if percent := next(); percent <= goPercent {
		t.Errorf("a small heap is collected at %d%%", percent)
	}
	large := make([]byte, 4*room)
	if percent := next(); percent != goPercent {
		t.Errorf("a large heap is collected at %d%%", percent)
	}
	runtime.KeepAlive(large)
	if percent := next(); percent <= goPercent {
		t.Errorf("once it is small again, it is collected at %d%%", percent)
	}
	go func() {
		for range set { // what is watched is watched for as long as the process lives
		}
	}()
}
