package dialect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sequence spells what a Sequencer gives after each event.
func sequence(events ...Event) []string {
	var s Sequencer
	var steps []string
	for i := range events {
		var given []string
		s.Add(&events[i], func(e *Event) {
			switch e.Kind {
			case EventPartStart:
				given = append(given, fmt.Sprintf("start %d %s", e.Index, e.Part.Name))
			case EventDelta, EventSignature:
				given = append(given, fmt.Sprintf("text %d %s", e.Index, e.Text))
			case EventCitation:
				given = append(given, fmt.Sprintf("cite %d %s", e.Index, e.Citation.Raw))
			case EventPartEnd:
				given = append(given, fmt.Sprintf("end %d", e.Index))
			default:
				given = append(given, fmt.Sprintf("event %d", e.Kind))
			}
		})
		steps = append(steps, strings.Join(given, ", "))
	}
	return steps
}

func starts(index int, name string) Event {
	return Event{Kind: EventPartStart, Index: index, Of: PartToolUse, Part: &Part{Kind: PartToolUse, Name: name}}
}

func fragment(index int, text string) Event {
	return Event{Kind: EventDelta, Index: index, Of: PartToolUse, Text: Inside(text)}
}

func over(index int) Event { return Event{Kind: EventPartEnd, Index: index, Of: PartToolUse} }

func TestSequencerLetsOnePartPassAtATime(t *testing.T) {
	tests := []struct {
		name   string
		events []Event
		want   []string
	}{
		{"one after the other", []Event{starts(0, "a"), fragment(0, "1"), over(0), starts(1, "b"), fragment(1, "2"), over(1)},
			[]string{"start 0 a", "text 0 1", "end 0", "start 1 b", "text 1 2", "end 1"}},
		{"mixed", []Event{starts(0, "a"), starts(1, "b"), fragment(1, "2"), fragment(0, "1"), fragment(1, "3"), over(0), fragment(1, "4"), over(1)},
			[]string{"start 0 a", "", "", "text 0 1", "", "end 0, start 1 b, text 1 23", "text 1 4", "end 1"}},
		{"ended before its turn", []Event{starts(0, "a"), starts(1, "b"), fragment(1, "2"), over(1), starts(2, "c"), over(0), over(2)},
			[]string{"start 0 a", "", "", "", "", "end 0, start 1 b, text 1 2, end 1, start 2 c", "end 2"}},
		{"never ended", []Event{starts(0, "a"), starts(1, "b"), fragment(1, "2"), {Kind: EventFinish}, {Kind: EventEnd}},
			[]string{"start 0 a", "", "", fmt.Sprintf("end 0, start 1 b, text 1 2, end 1, event %d", EventFinish), fmt.Sprintf("event %d", EventEnd)}},
		{"an error", []Event{starts(0, "a"), starts(1, "b"), {Kind: EventError}}, []string{"start 0 a", "", fmt.Sprintf("event %d", EventError)}},
		{"signatures and citations", []Event{starts(0, "a"), starts(1, "b"), {Kind: EventSignature, Index: 1, Text: Inside("s")}, {Kind: EventCitation, Index: 1, Citation: &Citation{Raw: Raw("c")}}, over(0)},
			[]string{"start 0 a", "", "", "", "end 0, start 1 b, text 1 s, cite 1 c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sequence(tt.events...); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSequencerKeepsItsOwnCopyOfWhatItHolds(t *testing.T) {
	var s Sequencer
	data := []byte("xyz")
	first, second := starts(0, "a"), starts(1, "b")
	second.Part.Redacted = data[2:]
	ignore := func(*Event) {}
	s.Add(&first, ignore)
	s.Add(&second, ignore)
	s.Add(&Event{Kind: EventDelta, Index: 1, Text: data[:1]}, ignore)
	s.Add(&Event{Kind: EventCitation, Index: 1, Citation: &Citation{Raw: data[1:2]}}, ignore)
	copy(data, "???")
	var got strings.Builder
	end := over(0)
	s.Add(&end, func(e *Event) {
		if e.Part != nil {
			got.Write(e.Part.Redacted)
		}
		if e.Citation != nil {
			got.Write(e.Citation.Raw)
		}
		got.Write(e.Text)
	})
	if got.String() != "zxy" {
		t.Errorf("got %q", got.String())
	}
}

func TestSequencerAddsNoAllocation(t *testing.T) {
	s := &Sequencer{}
	ignore := func(*Event) {}
	start, delta := starts(0, "a"), fragment(0, "text")
	s.Add(&start, ignore)
	if n := testing.AllocsPerRun(100, func() { s.Add(&delta, ignore) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
