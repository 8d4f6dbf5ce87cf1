package gemini

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
	paths, err := filepath.Glob("../crossing/testdata/gemini/*.sse")
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

func TestAFoldedStreamIsTheWholeResponse(t *testing.T) {
	for name, stream := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			answer, err := fold(t, stream).Answer()
			if err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile("../crossing/testdata/gemini/" + strings.Replace(name, ".stream.sse", ".answer.json", 1))
			if err != nil {
				t.Fatal(err)
			}
			if !same(t, answer, whole) {
				t.Errorf("got\n%s\nwant\n%s", answer, whole)
			}
		})
	}
}

func TestAReplayFoldsToTheResponseAgain(t *testing.T) {
	answers := map[string][]byte{
		"candidates": []byte(`{"candidates":[{"content":{"parts":[{"text":"a","thought":true,"thoughtSignature":"c2ln"},{"text":"b"},{"inlineData":{"mimeType":"image/png","data":"QQ=="}}],"role":"model"},"finishReason":"STOP","index":0},
			{"content":{"parts":[{"text":"c"}]},"finishReason":"MAX_TOKENS","index":1,"safetyRatings":[]},{"content":{"parts":[]},"finishReason":"SAFETY","index":2}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"m"}`),
		"parts with more than a text":   []byte(`{"candidates":[{"content":{"parts":[{"text":"a","partMetadata":{"b":1}},{"text":"b","thought":false},{"text":"c"}]},"finishReason":"STOP"}]}`),
		"contents with more than parts": []byte(`{"candidates":[{"content":{"parts":[],"x":1},"finishReason":"STOP"}]}`),
	}
	for name, stream := range recordings(t) {
		answer, err := fold(t, stream).Answer()
		if err != nil {
			t.Fatal(err)
		}
		answers[name] = answer
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			var pretty bytes.Buffer // whose line endings must not show in the events
			if err := json.Indent(&pretty, answer, "", "  "); err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(pretty.Bytes())
			events := replayed(t, pretty.Bytes())
			again, err := fold(t, events).Answer()
			if err != nil || !same(t, answer, again) {
				t.Errorf("folding the replay gives %s, %v\nwant %s\nevents %s", again, err, answer, events)
			}
			if !bytes.Equal(before, pretty.Bytes()) {
				t.Error("the answer was changed")
			}
		})
	}
}

func TestAReplayComesInPieces(t *testing.T) {
	answer := `{"candidates":[{"content":{"parts":[{"text":"` + strings.Repeat("word ", 100) + `","thoughtSignature":"` + strings.Repeat("c2ln", 100) +
		`"}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5}}`
	texts, signatures, usages := 0, 0, 0
	if err := Replay([]byte(answer), func(event []byte) bool {
		texts += bytes.Count(event, []byte(`"text"`))
		signatures += bytes.Count(event, []byte(`"thoughtSignature"`))
		usages += bytes.Count(event, []byte(`"usageMetadata"`))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if texts < 5 || signatures != 1 || usages != 1 {
		t.Errorf("%d pieces of text, %d of the signature, %d usages", texts, signatures, usages)
	}
}

func TestAReplayStopsWhenNobodyListens(t *testing.T) {
	for _, answer := range [][]byte{[]byte(`{"candidates":[{"content":{"parts":[{"text":"` + strings.Repeat("word ", 100) + `"}]},"finishReason":"STOP"}]}`)} {
		n := 0
		if err := Replay(answer, func([]byte) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("%d events, %v", n, err)
		}
	}
	if err := Replay([]byte(`{"candidates":[{}]}`), func([]byte) bool { t.Error("an event"); return true }); err == nil {
		t.Error("an answer without an end was replayed")
	}
}

func TestAFoldIsBounded(t *testing.T) {
	const limit = 8192
	makers := map[string]func(i int) string{
		"text":       func(int) string { return event(`{"text":"0123456789"}`, "") },
		"parts":      func(i int) string { return event(`{"functionCall":{"name":"f"}}`, "") },
		"members":    func(i int) string { return event("", `,"x`+strconv.Itoa(i)+`":1`) },
		"top":        func(i int) string { return `{"x` + strconv.Itoa(i) + `":1}` },
		"content":    func(i int) string { return `{"candidates":[{"content":{"x` + strconv.Itoa(i) + `":1}}]}` },
		"candidates": func(i int) string { return event("", `,"index":`+strconv.Itoa(i)) },
		"large":      func(int) string { return event(`{"text":"`+strings.Repeat("a", limit)+`"}`, "") },
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			f := NewFold(limit)
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

func TestAFoldOfAnErrorIsNoAnswer(t *testing.T) {
	f := NewFold(4096)
	if err := f.Add([]byte(event(hello, stop))); err != nil {
		t.Fatal(err)
	}
	if err := f.Add([]byte(`{"error":{"code":500}}`)); err == nil {
		t.Error("an error was taken")
	}
	if answer, err := f.Answer(); err == nil {
		t.Errorf("got %s", answer)
	}
}

func FuzzFoldAndReplay(f *testing.F) {
	for _, stream := range recordings(f) {
		f.Add(stream)
	}
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
	data := []byte(event(hello, ""))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Add(data); err != nil {
			b.Fatal(err)
		}
	}
}
