package openai

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/sse"
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

// fold folds the events of a stream.
func fold(t interface{ Fatal(...any) }, stream []byte) *Fold {
	f := NewFold(1 << 20)
	s := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for s.Next() {
		if s.HasData() {
			if err := f.Add(s.Data()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return f
}

// same tells whether two JSON texts mean the same.
func same(t interface{ Fatal(...any) }, one, other []byte) bool {
	return reflect.DeepEqual(decoded(t, one), decoded(t, other))
}

func decoded(t interface{ Fatal(...any) }, text []byte) (v any) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(string(text), err)
	}
	return v
}

func TestStreamsFoldAndReplayAsRecorded(t *testing.T) {
	streams, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(streams) == 0 {
		t.Fatal("no streams", err)
	}
	for _, path := range streams {
		name := strings.TrimSuffix(path, ".sse")
		t.Run(filepath.Base(name), func(t *testing.T) {
			stream, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := fold(t, stream).Answer()
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, answer, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			golden(t, name+".json", pretty.Bytes())

			// The line endings of the indented form must not show in the events.
			events := replayed(t, pretty.Bytes(), true)
			again, err := fold(t, events).Answer()
			if err != nil || !same(t, answer, again) {
				t.Errorf("folding the replay gives %s, %v\nwant %s", again, err, answer)
			}
			golden(t, name+".replay", replayed(t, answer, true))
		})
	}
}

// chunk makes a chunk with one choice.
func chunk(choice string) string {
	return `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[` + choice + `]}`
}

func TestFoldAnswersOnlyWhatIsWhole(t *testing.T) {
	tests := []struct {
		name   string
		chunks []string
		says   string
	}{
		{"nothing", nil, "no choice"},
		{"only the end", []string{"[DONE]"}, "no choice"},
		{"no finish_reason", []string{chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":null}`), "[DONE]"}, "finish_reason"},
		{"one of two choices unfinished", []string{chunk(`{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{"content":"a"}}`)}, "choice 1"},
		{"an error for a reason", []string{chunk(`{"index":0,"delta":{},"finish_reason":"error"}`)}, "error"},
		{"an error in the stream", []string{chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`), `{"error":{"message":"boom"}}`}, "error"},
		{"a line that is not JSON", []string{`{"id":`}, "JSON"},
		{"a line that is no object", []string{`[1]`}, "JSON"},
		{"an index too large", []string{chunk(`{"index":128,"delta":{}}`)}, "out of bounds"},
		{"an index below zero", []string{chunk(`{"index":-1,"delta":{}}`)}, "out of bounds"},
		{"an index that is no integer", []string{chunk(`{"index":1e2,"delta":{}}`)}, "out of bounds"},
		{"a tool call's index too large", []string{chunk(`{"index":0,"delta":{"tool_calls":[{"index":256}]}}`)}, "out of bounds"},
		{"an implied index too large", []string{chunk(`{"index":0,"delta":{"tool_calls":[{"index":255,"id":"a"},{"id":"b"}]}}`)}, "too many"},
		{"too much in one chunk", []string{chunk(`{"index":0,"delta":{"content":"` + strings.Repeat("x", 4096) + `"}}`)}, "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := NewFold(4096)
			for _, c := range tt.chunks {
				if err := f.Add([]byte(c)); err != nil {
					break
				}
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
		"content":          func(int) string { return chunk(`{"index":0,"delta":{"content":"0123456789"}}`) },
		"unknown members":  func(i int) string { return `{"x` + strconv.Itoa(i) + `":1}` },
		"unknown deltas":   func(i int) string { return chunk(`{"index":0,"delta":{"x` + strconv.Itoa(i) + `":null}}`) },
		"log probabilites": func(int) string { return chunk(`{"index":0,"delta":{},"logprobs":{"content":[{"token":"a"}]}}`) },
		"choices with calls": func(i int) string {
			return chunk(`{"index":` + strconv.Itoa(i%128) + `,"delta":{"tool_calls":[{"index":` + strconv.Itoa(i/128%256) + `}]}}`)
		},
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			f := NewFold(limit)
			for i := range 20_000 {
				if err := f.Add([]byte(maker(i))); err != nil {
					if f.size > limit+len(maker(i))+2*entrySize {
						t.Errorf("holds %d bytes", f.size)
					}
					return
				}
			}
			t.Error("there was no end to it")
		})
	}
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

func TestFoldStaysBrokenAfterAnError(t *testing.T) {
	f := NewFold(1 << 20)
	if f.Add([]byte(`nonsense`)) == nil || f.Add([]byte(chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}`))) == nil {
		t.Error("a chunk was taken after one that could not be read")
	}
	if answer, err := f.Answer(); err == nil {
		t.Errorf("Answer = %s, want an error", answer)
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
	streams, _ := filepath.Glob("testdata/*.sse")
	for _, path := range streams {
		stream, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stream)
	}
	f.Add([]byte("data: " + chunk(`{"index":1,"delta":{"content":"a","x":null},"logprobs":null,"finish_reason":"stop"}`) + "\n\n"))
	f.Add([]byte("data: " + chunk(`{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}`) + "\n\n"))
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
		again, err := fold(t, replayed(t, answer, true)).Answer()
		if err != nil || !same(t, answer, again) {
			t.Fatalf("folding the replay gives %s, %v\nwant %s", again, err, answer)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	data := []byte(`{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-5-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`)
	f := NewFold(1 << 40)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Add(data); err != nil {
			b.Fatal(err)
		}
	}
}
