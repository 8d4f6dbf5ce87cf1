package dialecttest

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// Recording is a stream as an API sends it, and the whole answer that it is.
type Recording struct {
	Stream, Answer []byte
}

// Recordings reads the streams of a folder, by their files' names. Each whole answer lies beside its stream, under
// the name that has answer in the place of stream. Those that end in an error make no answer and are left out.
func Recordings(t testing.TB, dir, stream, answer string) map[string]Recording {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+stream))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s holds no streams: %v", dir, err)
	}
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	recordings := map[string]Recording{}
	for _, path := range paths {
		base := strings.TrimSuffix(path, stream)
		if name := filepath.Base(base); !strings.HasPrefix(name, "error") {
			recordings[name] = Recording{Stream: read(path), Answer: read(base + answer)}
		}
	}
	return recordings
}

// failer is a test of Go's or of rapid's.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// events are the data of a stream's events, each valid until the next.
func events(t failer, stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		t.Helper()
		s := sse.NewScanner(bytes.NewReader(stream), 1<<20)
		for s.Next() {
			if s.HasData() && !yield(s.Data()) {
				return
			}
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
}

// Folded is the answer that a stream makes.
func Folded(t failer, c *dialect.Codec, stream []byte) []byte {
	t.Helper()
	f := c.NewFold(1 << 20)
	for data := range events(t, stream) {
		if err := f.Add(data); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := f.Answer()
	if err != nil {
		t.Fatal(err, string(stream))
	}
	return answer
}

// Replayed is the stream that an answer makes.
func Replayed(t failer, c *dialect.Codec, answer []byte, o dialect.StreamOptions) []byte {
	t.Helper()
	var stream []byte
	if err := c.Replay(answer, o, func(event []byte) bool {
		stream = append(stream, event...)
		return true
	}); err != nil {
		t.Fatal(err, string(answer))
	}
	return stream
}

// Same tells whether two JSON texts mean the same, to the last digit of their numbers.
func Same(t failer, one, other []byte) bool {
	t.Helper()
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

// Fuzz folds streams that nobody has thought of: where one makes an answer, its replay makes the same.
func Fuzz(f *testing.F, c *dialect.Codec, recordings map[string]Recording, more ...string) {
	for _, name := range slices.Sorted(maps.Keys(recordings)) {
		f.Add(recordings[name].Stream)
	}
	for _, stream := range more {
		f.Add([]byte(stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		fold := c.NewFold(1 << 16)
		s := sse.NewScanner(bytes.NewReader(stream), 1<<16)
		for s.Next() {
			fold.Add(s.Data())
		}
		answer, err := fold.Answer()
		if err != nil {
			return
		}
		if again := Folded(t, c, Replayed(t, c, answer, wanted)); !Same(t, answer, again) {
			t.Fatalf("folding the replay gives %s\nwant %s", again, answer)
		}
	})
}

// BenchmarkFold measures how an event is added behind those that a stream begins with.
func BenchmarkFold(b *testing.B, c *dialect.Codec, opening []string, event string) {
	f := c.NewFold(1 << 40)
	for _, e := range opening {
		if err := f.Add([]byte(e)); err != nil {
			b.Fatal(err)
		}
	}
	data := []byte(event)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Add(data); err != nil {
			b.Fatal(err)
		}
	}
}
