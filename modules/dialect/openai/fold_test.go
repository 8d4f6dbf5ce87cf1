package openai

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
)

var update = flag.Bool("update", false, "write what the code makes of testdata beside it, for review")

// golden compares got with a file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s\nwant\n%s", path, got, want)
	}
}

func recordings(t testing.TB) map[string]dialecttest.Recording {
	return dialecttest.Recordings(t, "testdata", ".sse", ".json")
}

func TestStreamsFoldAndReplayAsRecorded(t *testing.T) {
	for name, r := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			answer := dialecttest.Folded(t, &Codec, r.Stream)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, answer, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			golden(t, "testdata/"+name+".json", pretty.Bytes())
			golden(t, "testdata/"+name+".replay", dialecttest.Replayed(t, &Codec, answer, dialect.StreamOptions{IncludeUsage: true}))
		})
	}
}

// chunk makes a chunk with one choice.
func chunk(choice string) string {
	return `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[` + choice + `]}`
}

func TestFolding(t *testing.T) {
	dialecttest.Run(t, dialecttest.Folding{
		Codec:      &Codec,
		Recordings: recordings(t),
		Unfinished: []dialecttest.Unfinished{
			{Name: "nothing", Says: "no choice"},
			{Name: "only the end", Events: []string{"[DONE]"}, Says: "no choice"},
			{Name: "no finish_reason", Events: []string{chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":null}`), "[DONE]"}, Says: "finish_reason"},
			{Name: "one of two choices unfinished", Events: []string{chunk(`{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{"content":"a"}}`)}, Says: "choice 1"},
			{Name: "an error for a reason", Events: []string{chunk(`{"index":0,"delta":{},"finish_reason":"error"}`)}, Says: "error"},
			{Name: "an error in the stream", Events: []string{chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`), `{"error":{"message":"boom"}}`}, Says: "error"},
			{Name: "a line that is not JSON", Events: []string{`{"id":`}, Says: "JSON"},
			{Name: "a line that is no object", Events: []string{`[1]`}, Says: "JSON"},
			{Name: "an index too large", Events: []string{chunk(`{"index":128,"delta":{}}`)}, Says: "out of bounds"},
			{Name: "an index below zero", Events: []string{chunk(`{"index":-1,"delta":{}}`)}, Says: "out of bounds"},
			{Name: "an index that is no integer", Events: []string{chunk(`{"index":1e2,"delta":{}}`)}, Says: "out of bounds"},
			{Name: "a tool call's index too large", Events: []string{chunk(`{"index":0,"delta":{"tool_calls":[{"index":256}]}}`)}, Says: "out of bounds"},
			{Name: "an implied index too large", Events: []string{chunk(`{"index":0,"delta":{"tool_calls":[{"index":255,"id":"a"},{"id":"b"}]}}`)}, Says: "too many"},
			{Name: "too much in one chunk", Events: []string{chunk(`{"index":0,"delta":{"content":"` + strings.Repeat("x", 4096) + `"}}`)}, Says: "larger"},
		},
		Growing: map[string]func(i int) string{
			"content":          func(int) string { return chunk(`{"index":0,"delta":{"content":"0123456789"}}`) },
			"unknown members":  func(i int) string { return `{"x` + strconv.Itoa(i) + `":1}` },
			"unknown deltas":   func(i int) string { return chunk(`{"index":0,"delta":{"x` + strconv.Itoa(i) + `":null}}`) },
			"log probabilites": func(int) string { return chunk(`{"index":0,"delta":{},"logprobs":{"content":[{"token":"a"}]}}`) },
			"choices with calls": func(i int) string {
				return chunk(`{"index":` + strconv.Itoa(i%128) + `,"delta":{"tool_calls":[{"index":` + strconv.Itoa(i/128%256) + `}]}}`)
			},
		},
		Size:   func(f dialect.Fold) int { return f.(*Fold).size },
		Long:   `{"choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", 100) + `"},"finish_reason":"stop"}]}`,
		Halves: []string{`{"choices":[]}`, `{"choices":[{"index":0,"message":{},"finish_reason":null}]}`, `{"choices":`},
	})
}

func TestFoldSizesWhatItHolds(t *testing.T) {
	f := NewFold(4096)
	for range 1000 { // values that replace each other cost no more than one of them
		for _, c := range []string{
			`{"id":"c","x":{"a":[1,2,3]},"usage":{"prompt_tokens":1},"choices":[{"index":0,"delta":{"y":1},"logprobs":{"z":null}}]}`,
			`{"id":"c","x":"abc","choices":[{"index":0,"delta":{"y":"abc"},"logprobs":{"z":[]}}]}`,
			`{"choices":[{"index":0,"logprobs":{"z":123}}]}`,
		} {
			if err := f.Add([]byte(c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f.size > 600 {
		t.Errorf("the size is %d", f.size)
	}
}

func TestFoldKeepsItsOwnCopyOfTheData(t *testing.T) {
	data := []byte(chunk(`{"index":0,"delta":{"role":"assistant","content":"abc"},"finish_reason":"stop"}`))
	f := NewFold(1 << 20)
	if err := f.Add(data); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = 'x'
	}
	want := `{"object":"chat.completion","id":"c","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"abc"},"finish_reason":"stop"}]}`
	if answer, err := f.Answer(); err != nil || string(answer) != want {
		t.Errorf("Answer = %s, %v\nwant %s", answer, err, want)
	}
}

func FuzzFoldAndReplay(f *testing.F) {
	dialecttest.Fuzz(f, &Codec, recordings(f),
		"data: "+chunk(`{"index":1,"delta":{"content":"a","x":null},"logprobs":null,"finish_reason":"stop"}`)+"\n\n",
		"data: "+chunk(`{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}`)+"\n\n")
}

func BenchmarkFold(b *testing.B) {
	dialecttest.BenchmarkFold(b, &Codec, nil,
		`{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-5-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`)
}
