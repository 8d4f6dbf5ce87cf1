package gateway

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fact is what a key was from a time on.
type fact struct {
	from    time.Time
	name    string
	working bool
}

// belief is what a gateway may take a key for, as one would say it without a keyring.
type belief struct {
	id, secret string
	history    []fact
	gone       bool

	known     bool      // the gateway was told of the key and of no change since
	followed  bool      // and hears of every change since then
	confirmed time.Time // until when at least it heard of every change
	latest    time.Time // and until when at most
}

// outage drives a keyring through losses of the feed and of the store.
type outage struct {
	*follower
	clock  time.Time
	keys   []*belief
	fed    bool      // the feed tells of changes
	heard  time.Time // since when
	mode   reach     // of the store
	since  time.Time // when the store came to be as it is
	serial int
}

func (o *outage) lose() {
	for _, b := range o.keys {
		if b.followed {
			b.followed, b.confirmed = false, o.clock
		}
		b.latest = o.clock
	}
	o.fed = false
	o.feed.Lost(errBroken)
}

func (o *outage) wait(d time.Duration) { o.clock = o.clock.Add(d) }

func (o *outage) become(mode reach) {
	if mode != o.mode {
		o.mode, o.since = mode, o.clock
		o.store.become(mode)
	}
}

// heard notes that a gateway was told of a change, and may not go by what it knew.
func (b *belief) heard() { b.known, b.followed = false, false }

func (o *outage) change(t *rapid.T, b *belief, here bool) {
	if b.gone {
		t.Skip("it is deleted")
	}
	o.serial++
	now := fact{from: o.clock, name: strconv.Itoa(o.serial), working: rapid.Bool().Draw(t, "active")}
	change := KeyChange{Name: &now.name, Active: &now.working}
	remove := rapid.IntRange(0, 3).Draw(t, "delete") == 0
	var err error
	switch {
	case remove && here:
		err = o.Delete(t.Context(), b.id)
	case remove:
		err = o.store.DeleteKey(t.Context(), b.id)
	case here:
		_, err = o.Update(t.Context(), b.id, change)
	default:
		_, err = o.store.UpdateKey(t.Context(), b.id, change)
	}
	if err != nil {
		t.Fatalf("changing: %v", err)
	}
	if remove {
		now.working, b.gone = false, true
	}
	b.history = append(b.history, now)
	if here {
		b.heard()
	}
	if o.fed {
		b.heard()
		o.feed.Key(b.id)
	}
}

// find asks for a key and checks the answer.
func (o *outage) find(t *rapid.T, b *belief) {
	began := o.clock
	key, err := o.Find(t.Context(), b.secret)
	settled := o.mode == answering && (began.Sub(o.since) >= time.Second || o.fed && o.heard.After(o.since))
	if err != nil && !errors.Is(err, ErrKeyNotFound) {
		switch {
		case o.mode == answering:
			t.Fatalf("the store answers, and the key got %v", err)
		case b.gone: // what is not there cannot be known
		case b.followed, b.known && began.Sub(b.confirmed) < believedFor:
			t.Fatalf("a known key got %v", err)
		}
		return
	}
	if !b.known && o.mode != answering {
		t.Fatalf("without a store the gateway says of a key that it does not know: %+v, %v", key, err)
	}
	if o.mode != answering && !o.fed && began.Sub(b.latest) >= believedFor {
		t.Fatalf("what was last known %s ago still holds", began.Sub(b.latest))
	}

	oldest := b.confirmed
	switch {
	case b.followed, !b.known, settled && o.fed:
		oldest = began
	case settled && began.Add(-confirmEvery).After(oldest):
		oldest = began.Add(-confirmEvery)
	}
	if !b.since(oldest, key) {
		t.Fatalf("took the key for %+v; since %s ago it was one of %+v", key, began.Sub(oldest), b.history)
	}
	b.known, b.confirmed = true, oldest
	if o.mode == answering {
		b.latest = began
	}
	if o.fed && settled {
		b.followed = true
	}
}

// since says whether the key was what it was taken for at some time from the given one on. A nil key is one that does not work.
func (b *belief) since(oldest time.Time, taken *Key) bool {
	for i, was := range b.history {
		if i+1 < len(b.history) && !b.history[i+1].from.After(oldest) {
			continue // it was over by then
		}
		if taken == nil && !was.working || taken != nil && was.working && taken.Name == was.name {
			return true
		}
	}
	return false
}

func TestAGatewayBelievesNothingThatItMayNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &outage{follower: newFollower(t.Context()), mode: answering, clock: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
		o.Keyring.now = func() time.Time { return o.clock }
		o.store.late = func() { o.wait(confirmTimeout) }
		defer o.end()
		for range 3 {
			id, secret := o.createElsewhere(t.Context())
			o.keys = append(o.keys, &belief{id: id, secret: secret, history: []fact{{o.clock, "0", true}}})
		}
		draw := func(t *rapid.T) *belief { return rapid.SampledFrom(o.keys).Draw(t, "key") }
		t.Repeat(map[string]func(*rapid.T){
			"":     func(*rapid.T) { o.wait(time.Millisecond) }, // no two things happen at once
			"find": func(t *rapid.T) { o.find(t, draw(t)) },
			"find all": func(t *rapid.T) {
				for _, b := range o.keys {
					o.find(t, b)
				}
			},
			"change elsewhere": func(t *rapid.T) { o.change(t, draw(t), false) },
			"change here": func(t *rapid.T) {
				if o.mode != answering {
					t.Skip("the store is away")
				}
				o.change(t, draw(t), true)
			},
			"lose the feed": func(t *rapid.T) {
				if !o.fed {
					t.Skip("it is lost")
				}
				o.lose()
			},
			"regain the feed": func(t *rapid.T) {
				if o.fed {
					t.Skip("it is there")
				}
				o.fed, o.heard = true, o.clock
				o.feed.Reset()
			},
			"lose or regain the store": func(t *rapid.T) {
				o.become(rapid.SampledFrom([]reach{answering, answering, refusing, late}).Draw(t, "mode"))
			},
			"wait": func(t *rapid.T) {
				o.wait(rapid.SampledFrom([]time.Duration{
					1, confirmEvery - 1, confirmEvery, time.Second, time.Minute, 11 * time.Hour, believedFor - 1, believedFor,
				}).Draw(t, "for"))
			},
		})
	})
}
