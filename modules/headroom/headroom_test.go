package headroom

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestThereIsRoomWhateverTheHeapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint64Range(0, 1<<40).Draw(t, "base")
		room := rapid.Uint64Range(restRoom, mostRoom).Draw(t, "room")
		percent := percentFor(base, room)
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

// seldomOnly is a clock by which all collections are far apart.
func seldomOnly() func() time.Time {
	now := time.Now()
	return func() time.Time {
		now = now.Add(2 * seldom)
		return now
	}
}

func TestTheRoomGrowsWhileCollectionsAreCloseAndGoesBackOnceTheLoadIsOver(t *testing.T) {
	room, steps := uint64(restRoom), 0
	for ; room < mostRoom; steps++ {
		if steps > 10 {
			t.Fatalf("%d MB of room after %d collections that were close", room>>20, steps)
		}
		next := roomAfter(room, often-1)
		if next <= room {
			t.Fatalf("%d MB of room are followed by %d", room>>20, next>>20)
		}
		room = next
	}
	if got := roomAfter(room, 0); got != mostRoom {
		t.Errorf("%d MB at most, want %d", got>>20, mostRoom>>20)
	}
	if got := roomAfter(room, often); got != room {
		t.Errorf("%d MB after collections that were neither close nor far apart, want %d as before", got>>20, room>>20)
	}
	if roomAfter(room, seldom+1) != restRoom {
		t.Error("the room stays once the load is over")
	}
	if rarer := often * mostRoom / restRoom; rarer >= seldom {
		t.Errorf("the largest room makes collections as rare as every %v, which would end it", rarer)
	}
}

func TestWhatALoadTookIsCollectedOnceItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(func(int) int { return goPercent }, time.Now)
		p.adjust() // at once after it was made: close
		if p.room <= restRoom {
			t.Fatalf("%d MB of room after a collection that was close", p.room>>20)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		time.Sleep(seldom + 2*time.Millisecond) // in a bubble, whose clock runs ahead
		synctest.Wait()
		if runtime.ReadMemStats(&after); after.NumForcedGC == before.NumForcedGC {
			t.Error("nothing is collected")
		}
		if p.adjust(); p.room != restRoom {
			t.Errorf("%d MB of room once the load is over", p.room>>20)
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
	often := collections(8 * restRoom)
	p := newPacer(debug.SetGCPercent, seldomOnly())
	runtime.GC() // the last one took for alive what was made meanwhile
	p.adjust()
	if p.last <= goPercent {
		t.Fatalf("a small heap is collected at %d%%", p.last)
	}
	if seldom := collections(8 * restRoom); seldom > 16 || seldom >= often { // some is made while the collector runs
		t.Errorf("%d MB of garbage are collected in %d runs, and in %d without room", 8*restRoom>>20, seldom, often)
	}
	large := make([]byte, 4*restRoom)
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
	}, seldomOnly())
	p.watch()
	await := func(what string, true func(percent int) bool) {
		t.Helper()
		for range 100 {
			runtime.GC() // one may begin before the last one's object is there to be collected
			select {
			case percent := <-set:
				if true(percent) {
					return
				}
			case <-time.After(10 * time.Millisecond):
			}
		}
		t.Error(what)
	}
	small := func(percent int) bool { return percent > goPercent }
	await("a small heap is collected as Go does", small)
	large := make([]byte, 4*restRoom)
	await("a large heap is not collected as Go does", func(percent int) bool { return percent == goPercent })
	runtime.KeepAlive(large)
	await("once it is small again, it is collected as Go does", small)
	go func() {
		for range set { // what is watched is watched for as long as the process lives
		}
	}()
}
