// Package dialecttest is how the streams of every dialect must fold into whole answers, and whole answers be replayed as
// streams. A dialect's own tests call Run with its codec and with examples in its own words.
package dialecttest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Folding is a dialect to be examined.
type Folding struct {
	Codec *dialect.Codec
	// Recordings are streams as the API sends them, and the whole answers that they are.
	Recordings map[string]Recording
	// Answers are more whole answers that must outlive a replay, with what no recording has.
	Answers map[string]string
	// Unfinished are streams, as the data of their events, that make no answer.
	Unfinished []Unfinished
	// Opening are the events that a stream begins with, before those that Growing makes.
	Opening []string
	// Growing makes events without end, each in another place of the answer. A fold must refuse them at some time.
	Growing map[string]func(i int) string
	// Size is what a fold counts that it holds.
	Size func(dialect.Fold) int
	// Long is a whole answer whose replay has many events, and Halves are answers that are not whole.
	Long   string
	Halves []string
}

// Unfinished is a stream that makes no answer.
type Unfinished struct {
	Name   string
	Events []string
	// Says is what the error must say.
	Says string
}

// wanted asks for all that a replay can tell.
var wanted = dialect.StreamOptions{IncludeUsage: true}

// Run examines a dialect.
func Run(t *testing.T, f Folding) {
	for _, behaviour := range []struct {
		name  string
		check func(t *testing.T, f Folding)
	}{
		{"a folded stream is the whole answer", foldsToTheWholeAnswer},
		{"a replay folds to the answer again", outlivesAReplay},
		{"a replay stops where nobody listens", stopsWhereNobodyListens},
		{"half an answer is not replayed", refusesHalves},
		{"a fold answers only what is whole", answersOnlyWhatIsWhole},
		{"a fold stays broken after an error", staysBroken},
		{"a fold holds no more than its limit", holdsItsLimit},
		{"a fold keeps its own copy of the data", keepsItsOwnCopy},
	} {
		t.Run(behaviour.name, func(t *testing.T) { behaviour.check(t, f) })
	}
}

func foldsToTheWholeAnswer(t *testing.T, f Folding) {
	for name, r := range f.Recordings {
		t.Run(name, func(t *testing.T) {
			if answer := Folded(t, f.Codec, r.Stream); !Same(t, answer, r.Answer) {
				t.Errorf("got\n%s\nwant\n%s", answer, r.Answer)
			}
		})
	}
}

func outlivesAReplay(t *testing.T, f Folding) {
	answers := map[string][]byte{}
	for name, answer := range f.Answers {
		answers[name] = []byte(answer)
	}
	for name, r := range f.Recordings {
		answers[name] = Folded(t, f.Codec, r.Stream)
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			var pretty bytes.Buffer // whose line endings must not show in the events
			if err := json.Indent(&pretty, answer, "", "  "); err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(pretty.Bytes())
			events := Replayed(t, f.Codec, pretty.Bytes(), wanted)
			if again := Folded(t, f.Codec, events); !Same(t, answer, again) {
				t.Errorf("folding the replay gives %s\nwant %s\nevents %s", again, answer, events)
			}
			if !bytes.Equal(before, pretty.Bytes()) {
				t.Error("the answer was changed")
			}
		})
	}
}

func stopsWhereNobodyListens(t *testing.T, f Folding) {
	for most := 1; most < 5; most++ {
		events := 0
		err := f.Codec.Replay([]byte(f.Long), wanted, func([]byte) bool { events++; return events < most })
		if err != nil || events != most {
			t.Errorf("%d events, %v, want %d", events, err, most)
		}
	}
}

func refusesHalves(t *testing.T, f Folding) {
	for _, half := range append([]string{"", "{}", `{"`}, f.Halves...) {
		if err := f.Codec.Replay([]byte(half), wanted, func(event []byte) bool {
			t.Errorf("%s gave %s", half, event)
			return true
		}); err == nil {
			t.Errorf("%s was replayed", half)
		}
	}
}

func answersOnlyWhatIsWhole(t *testing.T, f Folding) {
	for _, tt := range f.Unfinished {
		t.Run(tt.Name, func(t *testing.T) {
			fold := f.Codec.NewFold(4096)
			for _, e := range tt.Events {
				if fold.Add([]byte(e)) != nil {
					break
				}
			}
			if answer, err := fold.Answer(); err == nil || !strings.Contains(err.Error(), tt.Says) {
				t.Errorf("Answer = %s, %v, want an error that says %q", answer, err, tt.Says)
			}
		})
	}
}

// staysBroken folds what would make an answer, had there not been an event before it that cannot be read.
func staysBroken(t *testing.T, f Folding) {
	for name, r := range f.Recordings {
		fold := f.Codec.NewFold(1 << 20)
		if fold.Add([]byte("nonsense")) == nil {
			t.Error("nonsense was taken")
		}
		for data := range events(t, r.Stream) {
			if fold.Add(data) == nil {
				t.Fatalf("%s: an event was taken after one that could not be read", name)
			}
		}
		if answer, err := fold.Answer(); err == nil {
			t.Errorf("%s: Answer = %s, want an error", name, answer)
		}
	}
}

func holdsItsLimit(t *testing.T, f Folding) {
	const limit, slack = 10_000, 1000 // an event is counted before it is refused
	for name, maker := range f.Growing {
		t.Run(name, func(t *testing.T) {
			fold := f.Codec.NewFold(limit)
			for _, e := range f.Opening {
				if err := fold.Add([]byte(e)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20_000 {
				e := maker(i)
				if fold.Add([]byte(e)) == nil {
					continue
				}
				if size := f.Size(fold); size > limit+slack+len(e) {
					t.Errorf("holds %d bytes", size)
				}
				return
			}
			t.Error("there was no end to it")
		})
	}
}

func keepsItsOwnCopy(t *testing.T, f Folding) {
	for name, r := range f.Recordings {
		fold := f.Codec.NewFold(1 << 20)
		for data := range events(t, r.Stream) {
			lent := bytes.Clone(data)
			if err := fold.Add(lent); err != nil {
				t.Fatal(name, err)
			}
			for i := range lent {
				lent[i] = 'x'
			}
		}
		if answer, err := fold.Answer(); err != nil || !Same(t, answer, r.Answer) {
			t.Errorf("%s: Answer = %s, %v\nwant %s", name, answer, err, r.Answer)
		}
	}
}
