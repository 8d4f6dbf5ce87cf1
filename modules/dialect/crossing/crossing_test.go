// Package crossing tests the codecs with each other: what goes from one dialect to another, and back.
//
// testdata holds a folder for each dialect with what its clients send and its providers answer, and one for each
// pair with what the codecs make of it for the other side. The latter are written by go test -update. The Responses
// API is a dialect of clients only.
package crossing

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

var update = flag.Bool("update", false, "write what the codecs make of testdata, and the table in the documentation, for review")

// codecs are of dialects that providers speak, clientCodecs of all that clients speak.
var (
	codecs       = []*dialect.Codec{&openai.Codec, &anthropic.Codec, &gemini.Codec}
	clientCodecs = append(slices.Clip(codecs), &responses.Codec)
)

// created is when a provider answered that does not tell.
var created = time.Unix(1741569952, 0)

// pairs runs a test for each file of a kind and each other dialect that it may go to. A request goes from a
// client's dialect to a provider's, an answer or a stream from a provider's to a client's.
func pairs(t *testing.T, kind string, test func(t *testing.T, from, to *dialect.Codec, source []byte, golden string)) {
	sources, targets := codecs, clientCodecs
	if kind == "request.json" {
		sources, targets = clientCodecs, codecs
	}
	for _, from := range sources {
		paths, err := filepath.Glob("testdata/" + string(from.Name) + "/*." + kind)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no %s of %s: %v", kind, from.Name, err)
		}
		for _, to := range targets {
			if from == to {
				continue
			}
			for _, path := range paths {
				folder := string(from.Name) + "-" + string(to.Name)
				t.Run(folder+"/"+filepath.Base(path), func(t *testing.T) {
					source, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					test(t, from, to, source, filepath.Join("testdata", folder, filepath.Base(path)))
				})
			}
		}
	}
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
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

func indented(t *testing.T, body []byte) []byte {
	t.Helper()
	if err := dialect.Check(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes()
}

// recordedGaps is what the recorded requests ask for and the other dialect has not.
var recordedGaps = map[string][]string{
	"openai-gemini/parallel_tools.request.json":    {"parallel_tool_calls"},
	"anthropic-gemini/parallel_tools.request.json": {"tool_choice.disable_parallel_tool_use"},
}

// readAs reads a request that was written from another. Google's API has the model and whether the answer is
// wanted as events in the address, where whoever calls a codec finds them.
func readAs(codec *dialect.Codec, body []byte, written *dialect.Request) (*dialect.Request, *dialect.Error) {
	r, fault := codec.DecodeRequest(body)
	if fault == nil && codec.Name == dialect.Gemini {
		r.Model, r.Stream, r.IncludeUsage = written.Model, written.Stream, written.IncludeUsage
	}
	return r, fault
}

func TestRequestsCrossAsRecorded(t *testing.T) {
	pairs(t, "request.json", func(t *testing.T, from, to *dialect.Codec, source []byte, path string) {
		r, fault := from.DecodeRequest(source)
		if fault != nil {
			t.Fatal(fault)
		}
		r.Model = "the-target"
		body, dropped, fault := to.EncodeRequest(nil, r, dialect.Policy{MaxTokens: 8192, Drop: true})
		if fault != nil || !slices.Equal(dropped, recordedGaps[strings.TrimPrefix(path, "testdata/")]) {
			t.Fatal(fault, dropped)
		}
		golden(t, path, indented(t, body))
	})
}

func TestAnswersCrossAsRecorded(t *testing.T) {
	pairs(t, "answer.json", func(t *testing.T, from, to *dialect.Codec, source []byte, path string) {
		a, fault := from.DecodeAnswer(source)
		if fault != nil {
			t.Fatal(fault)
		}
		if a.Created == 0 {
			a.Created = created.Unix()
		}
		body, fault := to.EncodeAnswer(nil, a)
		if fault != nil {
			t.Fatal(fault)
		}
		golden(t, path, indented(t, body))
	})
}

func TestStreamsCrossAsRecorded(t *testing.T) {
	pairs(t, "stream.sse", func(t *testing.T, from, to *dialect.Codec, source []byte, path string) {
		golden(t, path, cross(t, from, to, source))
	})
}

// cross translates a stream.
func cross(t interface{ Fatal(...any) }, from, to *dialect.Codec, stream []byte) (out []byte) {
	encoder := to.NewEncoder(dialect.StreamOptions{IncludeUsage: true, Created: created})
	decode(t, from, stream, func(e *dialect.Event) { out = encoder.Encode(out, e) })
	return out
}

// decode gives the events of a stream.
func decode(t interface{ Fatal(...any) }, from *dialect.Codec, stream []byte, yield func(*dialect.Event)) {
	decoder := from.NewDecoder()
	scanner := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for scanner.Next() {
		if !scanner.HasData() {
			continue
		}
		if err := decoder.Decode(scanner.Data(), yield); err != nil {
			t.Fatal(err, string(scanner.Data()))
		}
	}
	if scanner.Err() != nil {
		t.Fatal(scanner.Err())
	}
	decoder.End(yield)
}

// A client that is sent a stream must come to what it would be sent as a whole.
func TestAStreamFoldsToTheWholeAnswer(t *testing.T) {
	pairs(t, "stream.sse", func(t *testing.T, from, to *dialect.Codec, source []byte, path string) {
		if strings.Contains(path, "error") {
			return
		}
		whole, err := os.ReadFile(strings.Replace(path, ".stream.sse", ".answer.json", 1))
		if err != nil {
			t.Fatal(err)
		}
		folded := foldOf(t, to.Name, cross(t, from, to, source))
		if to.DecodeAnswer == nil {
			if got, want := showResponse(t, folded), showResponse(t, whole); got != want {
				t.Errorf("the stream says\n%s\nthe answer\n%s", got, want)
			}
			return
		}
		one, fault := to.DecodeAnswer(folded)
		if fault != nil {
			t.Fatal(fault)
		}
		other, fault := to.DecodeAnswer(whole)
		if fault != nil {
			t.Fatal(fault)
		}
		if got, want := show(one), show(other); got != want {
			t.Errorf("the stream says\n%s\nthe answer\n%s", got, want)
		}
	})
}

// folder is what every dialect's Fold is.
type folder interface {
	Add(data []byte) error
	Answer() ([]byte, error)
}

func foldOf(t interface{ Fatal(...any) }, name dialect.Name, stream []byte) []byte {
	var f folder = openai.NewFold(1 << 20)
	switch name {
	case dialect.Anthropic:
		f = anthropic.NewFold(1 << 20)
	case dialect.Gemini:
		f = gemini.NewFold(1 << 20)
	case dialect.Responses:
		f = responses.NewFold(1 << 20)
	}
	scanner := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for scanner.Next() {
		if err := f.Add(scanner.Data()); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := f.Answer()
	if err != nil {
		t.Fatal(err, string(stream))
	}
	return answer
}
