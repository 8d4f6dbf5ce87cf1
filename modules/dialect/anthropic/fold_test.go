package anthropic

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// recordings are streams as the API sends them; those that end in an error are of no use here.
func recordings(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../crossing/testdata/anthropic/*.sse")
	if err != nil || len(paths) == 0 {
		t.Fatal("no streams", err)
	}
	streams := map[string][]byte{}
	for _, path := range paths {
		stream, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !strings.HasPrefix(name, "error") {
			streams[name] = stream
		}
	}
	return streams
}

func fold(t testing.TB, stream []byte) *Fold {
	f := NewFold(1 << 20)
	s := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for s.Next() {
		if err := f.Add(s.Data()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return f
}

func replayed(t testing.TB, answer []byte) []byte {
	var stream []byte
	if err := Replay(answer, func(event []byte) bool {
		stream = append(stream, event...)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// same tells whether two JSON texts mean the same.
func same(t testing.TB, one, other []byte) bool {
	decoded := func(text []byte) (v any) {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(string(text), err)
		}
		return v
	}
	return reflect.DeepEqual(decoded(one), decoded(other))
}

// The fields that only a whole message has, or that streams tell later, are not compared.
func TestAFoldedStreamIsTheWholeMessage(t *testing.T) {
	for name, stream := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			answer, err := fold(t, stream).Answer()
			if err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile("../crossing/testdata/anthropic/" + strings.Replace(name, ".stream.sse", ".answer.json", 1))
			if err != nil {
				t.Fatal(err)
			}
			if !same(t, answer, whole) {
				t.Errorf("got\n%s\nwant\n%s", answer, whole)
			}
		})
	}
}

func TestAReplayFoldsToTheMessageAgain(t *testing.T) {
	for name, stream := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			answer, err := fold(t, stream).Answer()
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer // whose line endings must not show in the events
			if err := json.Indent(&pretty, answer, "", "  "); err != nil {
				t.Fatal(err)
			}
			events := replayed(t, pretty.Bytes())
			again, err := fold(t, events).Answer()
			if err != nil || !same(t, answer, again) {
				t.Errorf("folding the replay gives %s, %v\nwant %s\nevents %s", again, err, answer, events)
			}
		})
	}
}

func TestAReplayComesInPieces(t *testing.T) {
	answer := `{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"` + strings.Repeat("word ", 100) +
		`"},{"type":"thinking","thinking":"a","signature":"` + strings.Repeat("c2ln", 100) + `"}],"stop_reason":"end_turn","usage":{"output_tokens":5}}`
	texts, signatures, longest := 0, 0, 0
	if err := Replay([]byte(answer), func(event []byte) bool {
		texts += bytes.Count(event, []byte("text_delta"))
		if n := bytes.Count(event, []byte("signature_delta")); n > 0 {
			signatures += n
		} else {
			longest = max(longest, len(event))
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if texts < 5 || signatures != 1 || longest > 400 {
		t.Errorf("%d pieces of text, %d of the signature, an event of %d bytes", texts, signatures, longest)
	}
}

func TestAReplayStopsWhenNobodyListens(t *testing.T) {
	answer, err := fold(t, recordings(t)["parallel_tools.stream.sse"]).Answer()
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	if err := Replay(answer, func([]byte) bool { events++; return events < 3 }); err != nil || events != 3 {
		t.Errorf("%d events, %v", events, err)
	}
	if err := Replay([]byte(`{"type":"message"}`), func([]byte) bool { t.Error("an event"); return true }); err == nil {
		t.Error("half a message is replayed")
	}
}

const (
	started    = `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":1}}}`
	blockStart = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	delta      = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"0123456789"}}`
	stopped    = `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`
	over       = `{"type":"message_stop"}`
)

func TestFoldAnswersOnlyWhatIsWhole(t *testing.T) {
	tests := []struct {
		name   string
		events []string
		says   string
	}{
		{"nothing", nil, "its end"},
		{"no start", []string{blockStart, delta, stopped, over}, "its end"},
		{"no end", []string{started, blockStart, delta, stopped}, "its end"},
		{"no stop_reason", []string{started, blockStart, delta, over}, "stop_reason"},
		{"an error", []string{started, `{"type":"error","error":{"type":"overloaded_error"}}`, stopped, over}, "error"},
		{"a line that is not JSON", []string{started, `{"type":`, stopped, over}, "JSON"},
		{"a block that is skipped", []string{started, strings.Replace(blockStart, `"index":0`, `"index":1`, 1), stopped, over}, "out of order"},
		{"a block twice", []string{started, blockStart, blockStart, stopped, over}, "out of order"},
		{"a delta without a block", []string{started, delta, stopped, over}, "out of order"},
		{"a delta without an index", []string{started, blockStart, `{"type":"content_block_delta","delta":{}}`, stopped, over}, "out of order"},
		{"a tool's input that was cut", []string{started, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`, stopped, over}, "not valid JSON"},
		{"too much in one event", []string{started, strings.Replace(blockStart, `""`, `"`+strings.Repeat("x", 5000)+`"`, 1), stopped, over}, "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := NewFold(4096)
			for _, e := range tt.events {
				f.Add([]byte(e))
			}
			if answer, err := f.Answer(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Answer = %s, %v, want an error that says %q", answer, err, tt.says)
			}
		})
	}
}

func TestFoldHoldsNoMoreThanItsLimit(t *testing.T) {
	const limit = 10_000
	makers := map[string]func(i int) string{
		"text":   func(int) string { return delta },
		"input":  func(int) string { return strings.Replace(delta, `"text":`, `"partial_json":`, 1) },
		"others": func(i int) string { return strings.Replace(delta, `"text":`, `"x`+strconv.Itoa(i)+`":`, 1) },
		"citations": func(int) string {
			return `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"a"}}}`
		},
		"usage": func(i int) string {
			return `{"type":"message_delta","delta":{},"usage":{"x` + strconv.Itoa(i) + `":1}}`
		},
		"blocks": func(i int) string { return strings.Replace(blockStart, `"index":0`, `"index":`+strconv.Itoa(i+1), 1) },
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			f := NewFold(limit)
			for _, e := range []string{started, blockStart} {
				if err := f.Add([]byte(e)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20_000 {
				if err := f.Add([]byte(maker(i))); err != nil {
					if f.size > limit+1000 {
						t.Errorf("holds %d bytes", f.size)
					}
					return
				}
			}
			t.Error("there was no end to it")
		})
	}
}

func TestUnknownEventsAndDeltasAreIgnored(t *testing.T) {
	events := []string{started, `{"type":"ping"}`, `{"type":"new_event","index":7,"delta":{"a":1}}`, `{"a":1}`, blockStart, delta,
		`{"type":"content_block_stop","index":0}`, stopped, over}
	f := NewFold(4096)
	for _, e := range events {
		if err := f.Add([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"id":"m","type":"message","role":"assistant","stop_reason":"end_turn","content":[{"type":"text","text":"0123456789"}],"usage":{"input_tokens":1,"output_tokens":2}}`
	if answer, err := f.Answer(); err != nil || string(answer) != want {
		t.Errorf("Answer = %s, %v\nwant %s", answer, err, want)
	}
}

func FuzzFoldAndReplay(f *testing.F) {
	for _, stream := range recordings(f) {
		f.Add(stream)
	}
	f.Add([]byte("data: " + strings.Join([]string{started, blockStart, delta, stopped, over}, "\n\ndata: ") + "\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		f := NewFold(1 << 16)
		s := sse.NewScanner(bytes.NewReader(stream), 1<<16)
		for s.Next() {
			f.Add(s.Data())
		}
		answer, err := f.Answer()
		if err != nil {
			return
		}
		again, err := fold(t, replayed(t, answer)).Answer()
		if err != nil || !same(t, answer, again) {
			t.Fatalf("folding the replay gives %s, %v\nwant %s", again, err, answer)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	f := NewFold(1 << 40)
	for _, e := range []string{started, blockStart} {
		if err := f.Add([]byte(e)); err != nil {
			b.Fatal(err)
		}
	}
	data := []byte(delta)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Add(data); err != nil {
			b.Fatal(err)
		}
	}
}
