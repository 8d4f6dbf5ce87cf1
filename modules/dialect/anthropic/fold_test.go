package anthropic

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
)

func recordings(t testing.TB) map[string]dialecttest.Recording {
	return dialecttest.Recordings(t, "../crossing/testdata/anthropic", ".stream.sse", ".answer.json")
}

const (
	started    = `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":1}}}`
	blockStart = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	delta      = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"0123456789"}}`
	stopped    = `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`
	over       = `{"type":"message_stop"}`
)

func TestFolding(t *testing.T) {
	dialecttest.Run(t, dialecttest.Folding{
		Codec:      &Codec,
		Recordings: recordings(t),
		Unfinished: []dialecttest.Unfinished{
			{Name: "nothing", Says: "its end"},
			{Name: "no start", Events: []string{blockStart, delta, stopped, over}, Says: "its end"},
			{Name: "no end", Events: []string{started, blockStart, delta, stopped}, Says: "its end"},
			{Name: "no stop_reason", Events: []string{started, blockStart, delta, over}, Says: "stop_reason"},
			{Name: "an error", Events: []string{started, `{"type":"error","error":{"type":"overloaded_error"}}`, stopped, over}, Says: "error"},
			{Name: "a line that is not JSON", Events: []string{started, `{"type":`, stopped, over}, Says: "JSON"},
			{Name: "a block that is skipped", Events: []string{started, strings.Replace(blockStart, `"index":0`, `"index":1`, 1), stopped, over}, Says: "out of order"},
			{Name: "a block twice", Events: []string{started, blockStart, blockStart, stopped, over}, Says: "out of order"},
			{Name: "a delta without a block", Events: []string{started, delta, stopped, over}, Says: "out of order"},
			{Name: "a delta without an index", Events: []string{started, blockStart, `{"type":"content_block_delta","delta":{}}`, stopped, over}, Says: "out of order"},
			{Name: "a tool's input that was cut", Events: []string{started, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`, stopped, over}, Says: "not valid JSON"},
			{Name: "too much in one event", Events: []string{started, strings.Replace(blockStart, `""`, `"`+strings.Repeat("x", 5000)+`"`, 1), stopped, over}, Says: "larger"},
		},
		Opening: []string{started, blockStart},
		Growing: map[string]func(i int) string{
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
		},
		Size:   func(f dialect.Fold) int { return f.(*Fold).size },
		Long:   `{"type":"message","content":[{"type":"text","text":"` + strings.Repeat("word ", 100) + `"}],"stop_reason":"end_turn"}`,
		Halves: []string{`{"type":"message"}`, `{"type":"message","content":[],"stop_reason":null}`},
	})
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
	dialecttest.Fuzz(f, &Codec, recordings(f),
		"data: "+strings.Join([]string{started, blockStart, delta, stopped, over}, "\n\ndata: ")+"\n\n")
}

func BenchmarkFold(b *testing.B) {
	dialecttest.BenchmarkFold(b, &Codec, []string{started, blockStart}, delta)
}
