package crossing

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

func TestAStreamThatIsCutAnywhereGivesTheSameEvents(t *testing.T) {
	for _, codec := range codecs {
		paths, err := filepath.Glob("testdata/" + string(codec.Name) + "/*.sse")
		if err != nil || len(paths) == 0 {
			t.Fatal("no streams", err)
		}
		for _, path := range paths {
			t.Run(path, func(t *testing.T) {
				stream, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				want := events(t, codec, bytes.NewReader(stream))
				for cut := range stream {
					got := events(t, codec, io.MultiReader(bytes.NewReader(stream[:cut]), bytes.NewReader(stream[cut:])))
					if got != want {
						t.Fatalf("cut at byte %d, the events are\n%s\nwant\n%s", cut, got, want)
					}
				}
			})
		}
	}
}

// A stream that ends too early is no answer, wherever it ends: there is an error, and no end after it.
func TestAStreamThatEndsTooEarlyIsAnError(t *testing.T) {
	for _, codec := range codecs {
		stream, err := os.ReadFile("testdata/" + string(codec.Name) + "/parallel_tools.stream.sse")
		if err != nil {
			t.Fatal(err)
		}
		finish := map[dialect.Name]string{dialect.OpenAI: `"finish_reason":"tool_calls"`, dialect.Anthropic: `"stop_reason": "tool_use"`, dialect.Gemini: `"finishReason": "STOP"`}[codec.Name]
		most := bytes.Index(stream, []byte(finish))
		if most < 0 {
			t.Fatal("no finish in", codec.Name)
		}
		for length := range most {
			decoder := codec.NewDecoder()
			var last dialect.EventKind
			kind := func(e *dialect.Event) { last = e.Kind }
			scanner := sse.NewScanner(bytes.NewReader(stream[:length]), 1<<20)
			for scanner.Next() {
				decoder.Decode(scanner.Data(), kind) // a cut event cannot be read
			}
			decoder.End(kind)
			if last != dialect.EventError {
				t.Fatalf("%s: %d bytes end with event %d", codec.Name, length, last)
			}
		}
	}
}

func events(t *testing.T, codec *dialect.Codec, stream io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	decoder := codec.NewDecoder()
	spell := func(e *dialect.Event) {
		fmt.Fprintf(&b, "%d %q %q %d %d %d %q %q %v %q %d %q %v %v", e.Kind, e.ID, e.Model, e.Created, e.Index, e.Of, e.Text, e.Signer, e.Citation, e.StopSequence, e.Finish, e.StopSequence, e.Usage, e.Err)
		if e.Part != nil {
			fmt.Fprintf(&b, " %q %q %q", e.Part.ID, e.Part.Name, e.Part.Redacted)
		}
		b.WriteByte('\n')
	}
	scanner := sse.NewScanner(stream, 1<<20)
	for scanner.Next() {
		if err := decoder.Decode(scanner.Data(), spell); err != nil {
			t.Fatal(err)
		}
	}
	decoder.End(spell)
	return b.String()
}
