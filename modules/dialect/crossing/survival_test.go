package crossing

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

// checkRequest holds that whatever a client sends, every dialect's encoder makes valid JSON of it that its own
// decoder reads.
func checkRequest(t rapid.TB, from *dialect.Codec, body []byte) {
	if dialect.Check(body) != nil {
		return
	}
	for _, to := range codecs {
		r, fault := from.DecodeRequest(body)
		if fault != nil {
			return
		}
		out, _, fault := to.EncodeRequest(nil, r, dialect.Policy{Drop: true})
		if fault != nil {
			t.Fatalf("%q is refused: %v", body, fault)
		}
		if !json.Valid(out) {
			t.Fatalf("%q becomes %q", body, out)
		}
		if _, fault := to.DecodeRequest(out); fault != nil {
			t.Fatalf("%q becomes %q, which is refused: %v", body, out, fault)
		}
	}
}

// checkAnswer holds that whatever a provider answers, every dialect's encoder makes valid JSON of it, or says
// why it cannot.
func checkAnswer(t rapid.TB, from *dialect.Codec, body []byte) {
	a, fault := from.DecodeAnswer(body)
	if fault != nil {
		return
	}
	for _, to := range clientCodecs {
		out, fault := to.EncodeAnswer(nil, a)
		if fault == nil && !json.Valid(out) {
			t.Fatalf("%q becomes %q", body, out)
		}
	}
}

// checkStream holds that whatever a provider streams, the events are in order, and every dialect's encoder makes
// events of it whose data is JSON and that its own decoder reads in order too.
func checkStream(t rapid.TB, from *dialect.Codec, stream []byte) {
	for _, to := range clientCodecs {
		encoder, decoder := to.NewEncoder(dialect.StreamOptions{IncludeUsage: true}), from.NewDecoder()
		var out []byte
		var events assembly
		give := func(e *dialect.Event) {
			events.add(e)
			out = encoder.Encode(out, e)
		}
		scanner := sse.NewScanner(bytes.NewReader(stream), 1<<16)
		for scanner.Next() {
			decoder.Decode(scanner.Data(), give) // an error skips the event
		}
		decoder.End(give)
		if len(events.faults) > 0 || !events.ended {
			t.Fatalf("%q gives %q, ended %v", stream, events.faults, events.ended)
		}
		checkEncoded(t, to, out, events.err != nil)
	}
}

func checkEncoded(t rapid.TB, codec *dialect.Codec, stream []byte, failed bool) {
	if codec.NewDecoder == nil {
		checkResponses(t, stream)
		return
	}
	var again assembly
	decoder := codec.NewDecoder()
	scanner := sse.NewScanner(bytes.NewReader(stream), 1<<20)
	for scanner.Next() {
		if data := scanner.Data(); string(data) != "[DONE]" && !json.Valid(data) {
			t.Fatalf("%q holds an event that is no JSON", stream)
		}
		if err := decoder.Decode(scanner.Data(), again.add); err != nil && dialect.Check(scanner.Data()) == nil {
			t.Fatalf("%q cannot be read: %v", stream, err)
		}
	}
	decoder.End(again.add)
	if len(again.faults) > 0 || failed && again.err == nil {
		t.Fatalf("%q is read with %q, %v", stream, again.faults, again.err)
	}
}

// mangled gives a value in which some members and elements are others, are missing, or are there twice.
func mangled(t *rapid.T, value any) any {
	switch rapid.IntRange(0, 30).Draw(t, "mangle") {
	case 0:
		return rapid.SampledFrom([]any{nil, true, false, 0, -1, 1.5, 1e300, "", "a", "\x00\"\\\u2028😀", []any{}, map[string]any{}, []any{nil}, map[string]any{"type": nil}}).Draw(t, "other")
	case 1:
		return []any{value, value}
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if rapid.IntRange(0, 30).Draw(t, "missing") > 0 {
				out[name] = mangled(t, v[name])
			}
		}
		return out
	case []any:
		out := []any{}
		for _, element := range v {
			out = append(out, mangled(t, element))
			if rapid.IntRange(0, 20).Draw(t, "twice") == 0 {
				out = append(out, element)
			}
		}
		return out
	}
	return value
}

// mangle mangles a JSON text.
func mangle(t *rapid.T, body []byte) []byte {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(mangled(t, value))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// recorded reads all files of a kind that a dialect has.
func recorded(t *testing.T, codec *dialect.Codec, kind string) [][]byte {
	paths, err := filepath.Glob("testdata/" + string(codec.Name) + "/*." + kind)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s of %s: %v", kind, codec.Name, err)
	}
	var bodies [][]byte
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func TestMangledBodiesDoNoHarm(t *testing.T) {
	for _, codec := range clientCodecs {
		for kind, check := range map[string]func(rapid.TB, *dialect.Codec, []byte){"request.json": checkRequest, "answer.json": checkAnswer} {
			if kind == "answer.json" && codec.DecodeAnswer == nil {
				continue
			}
			t.Run(string(codec.Name)+"/"+kind, func(t *testing.T) {
				bodies := recorded(t, codec, kind)
				rapid.Check(t, func(t *rapid.T) { check(t, codec, mangle(t, rapid.SampledFrom(bodies).Draw(t, "body"))) })
			})
		}
	}
}

func TestMangledStreamsDoNoHarm(t *testing.T) {
	for _, codec := range codecs {
		t.Run(string(codec.Name), func(t *testing.T) {
			streams := recorded(t, codec, "stream.sse")
			rapid.Check(t, func(t *rapid.T) {
				var stream []byte
				scanner := sse.NewScanner(bytes.NewReader(rapid.SampledFrom(streams).Draw(t, "stream")), 1<<16)
				for scanner.Next() {
					switch data := scanner.Data(); {
					case string(data) == "[DONE]" || rapid.IntRange(0, 3).Draw(t, "keep") > 0:
						stream = sse.AppendData(stream, data)
					case rapid.IntRange(0, 9).Draw(t, "lose") > 0:
						stream = sse.AppendData(stream, mangle(t, data))
					}
				}
				checkStream(t, codec, stream)
			})
		})
	}
}
