package crossing

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// respondedEvent is an event of the Responses API as a client reads it.
type respondedEvent struct {
	Type     string
	Sequence int    `json:"sequence_number"`
	Item     int    `json:"output_index"`
	Content  int    `json:"content_index"`
	Summary  int    `json:"summary_index"`
	ItemID   string `json:"item_id"`
	Delta    string
	Text     string
	Refusal  string
	Args     string          `json:"arguments"`
	Whole    json.RawMessage `json:"item"`
	Response json.RawMessage
	Error    json.RawMessage
}

// respondedItem is what a client sees of an item.
type respondedItem struct {
	ID, Type, Status, Name, Arguments string
	Content                           []struct{ Type, Text, Refusal string }
	Summary                           []struct{ Text string }
}

func (it respondedItem) text() string {
	text := it.Arguments
	for _, c := range it.Content {
		text += c.Text + c.Refusal
	}
	for _, s := range it.Summary {
		text += s.Text
	}
	return text
}

// checkResponses holds that events are numbered without a gap, that items follow each other and are what their
// fragments made, and that the last event tells all of them.
func checkResponses(t rapid.TB, stream []byte) {
	var done []json.RawMessage
	var open *respondedItem
	var text, part string
	sequence, last := 0, ""
	scanner := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for scanner.Next() {
		var e respondedEvent
		if err := json.Unmarshal(scanner.Data(), &e); err != nil {
			t.Fatalf("%s: %v", scanner.Data(), err)
		}
		if !bytes.HasPrefix(scanner.Event(), []byte("event: "+e.Type+"\n")) || e.Sequence != sequence || last == "response.completed" || last == "error" {
			t.Fatalf("event %d is %s, after %s", sequence, scanner.Event(), last)
		}
		sequence++
		last = e.Type
		if e.ItemID != "" && (open == nil || e.ItemID != open.ID || e.Item != len(done)) {
			t.Fatalf("%s is of no open item", scanner.Data())
		}
		switch {
		case e.Type == "response.output_item.added":
			if open != nil || e.Item != len(done) {
				t.Fatalf("%s begins before the item ahead of it ended", scanner.Data())
			}
			open, text = new(respondedItem), ""
			if err := json.Unmarshal(e.Whole, open); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(e.Type, ".delta"):
			text, part = text+e.Delta, part+e.Delta
		case slices.Contains([]string{"response.output_text.done", "response.refusal.done", "response.reasoning_summary_text.done", "response.function_call_arguments.done"}, e.Type):
			if whole := e.Text + e.Refusal + e.Args; whole != part {
				t.Fatalf("%q was told, and then %s", part, scanner.Data())
			}
			part = ""
		case e.Type == "response.output_item.done":
			var whole respondedItem
			if err := json.Unmarshal(e.Whole, &whole); err != nil || open == nil || whole.ID != open.ID || whole.Type != open.Type {
				t.Fatalf("%s ends %+v", scanner.Data(), open)
			}
			if whole.text() != text {
				t.Fatalf("%q was told of an item, and then %s", text, e.Whole)
			}
			done, open = append(done, e.Whole), nil
		case e.Type == "response.completed" || e.Type == "response.incomplete":
			var answer struct {
				Status string
				Output []json.RawMessage
			}
			if err := json.Unmarshal(e.Response, &answer); err != nil || "response."+answer.Status != e.Type {
				t.Fatalf("%s: %v", e.Response, err)
			}
			if !slices.EqualFunc(answer.Output, done, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) || open != nil {
				t.Fatalf("%s was told, and then %s", done, answer.Output)
			}
			last = "response.completed"
		}
	}
	if last != "response.completed" && last != "error" {
		t.Fatalf("%s ends with %s", stream, last)
	}
}

func TestEventsOfTheResponsesAPITellTheWholeAnswer(t *testing.T) {
	each(t, func(m *maker, _ *dialect.Codec) {
		answer := m.answer()
		answer.Asked = dialect.Raw("{\"tools\":[\n{\"type\":\"function\",\"name\":\"f\"}],\"temperature\":0.50}")
		answer.HasUsage = true
		encoder := responses.NewEncoder(dialect.StreamOptions{Asked: answer.Asked})
		var stream []byte
		m.stream(answer, func(e *dialect.Event) { stream = encoder.Encode(stream, e) })
		checkResponses(m, stream)
		whole, fault := responses.EncodeAnswer(nil, answer)
		if fault != nil {
			m.Fatal(fault)
		}
		if folded := foldOf(m, dialect.Responses, stream); !bytes.Equal(folded, whole) {
			m.Fatalf("the stream says\n%s\nthe answer\n%s", folded, whole)
		}
		var replayed []byte
		if err := responses.Replay(whole, func(event []byte) bool {
			replayed = append(replayed, event...)
			return true
		}); err != nil {
			m.Fatal(err)
		}
		checkResponses(m, replayed)
		if folded := foldOf(m, dialect.Responses, replayed); !bytes.Equal(folded, whole) {
			m.Fatalf("the replay says\n%s\nthe answer\n%s", folded, whole)
		}
	})
}

// What a client sends back of an answer means what its provider said, signatures and all.
func TestAnswersOfTheResponsesAPIComeBackAsTheyWereTold(t *testing.T) {
	each(t, func(m *maker, _ *dialect.Codec) {
		answer := m.answer()
		body, fault := responses.EncodeAnswer(nil, answer)
		if fault != nil {
			m.Fatal(fault)
		}
		var wire struct{ Output json.RawMessage }
		if err := json.Unmarshal(body, &wire); err != nil {
			m.Fatal(err)
		}
		r, fault := responses.DecodeRequest([]byte(`{"model":"m","input":` + string(wire.Output) + `}`))
		if fault != nil {
			m.Fatalf("%v: %s", fault, body)
		}
		var want, got dialect.Answer
		for _, part := range answer.Parts {
			part.Citations = nil // which are not sent back
			if part.Kind != dialect.PartOpaque {
				want.Parts = append(want.Parts, part)
			}
		}
		for _, turn := range r.Turns {
			got.Parts = append(got.Parts, turn.Parts...)
		}
		if len(r.Turns) > 1 || show(&got) != show(&want) {
			m.Fatalf("%s comes back as\n%s\nand was\n%s", body, show(&got), show(&want))
		}
	})
}

// showResponse spells what an answer of the Responses API means: its items as they would be sent back, and the rest.
func showResponse(t *testing.T, answer []byte) string {
	r, fault := responses.DecodeRequest([]byte(saidToResponses(t, answer)))
	if fault != nil {
		t.Fatal(fault)
	}
	return show(r) + compact(dialect.Delete(answer, "output"))
}
