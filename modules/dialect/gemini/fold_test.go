package gemini

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
)

func recordings(t testing.TB) map[string]dialecttest.Recording {
	return dialecttest.Recordings(t, "../crossing/testdata/gemini", ".stream.sse", ".answer.json")
}

func TestFolding(t *testing.T) {
	dialecttest.Run(t, dialecttest.Folding{
		Codec:      &Codec,
		Recordings: recordings(t),
		Answers: map[string]string{
			"candidates": `{"candidates":[{"content":{"parts":[{"text":"a","thought":true,"thoughtSignature":"c2ln"},{"text":"b"},{"inlineData":{"mimeType":"image/png","data":"QQ=="}}],"role":"model"},"finishReason":"STOP","index":0},
				{"content":{"parts":[{"text":"c"}]},"finishReason":"MAX_TOKENS","index":1,"safetyRatings":[]},{"content":{"parts":[]},"finishReason":"SAFETY","index":2}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"m"}`,
			"parts with more than a text":   `{"candidates":[{"content":{"parts":[{"text":"a","partMetadata":{"b":1}},{"text":"b","thought":false},{"text":"c"}]},"finishReason":"STOP"}]}`,
			"contents with more than parts": `{"candidates":[{"content":{"parts":[],"x":1},"finishReason":"STOP"}]}`,
		},
		Unfinished: []dialecttest.Unfinished{
			{Name: "nothing", Says: "candidate"},
			{Name: "no finishReason", Events: []string{event(hello, "")}, Says: "finishReason"},
			{Name: "one of two candidates unfinished", Events: []string{event(hello, stop), event(hello, `,"index":1`)}, Says: "finishReason"},
			{Name: "an error", Events: []string{event(hello, stop), `{"error":{"code":500}}`}, Says: "error"},
			{Name: "a line that is not JSON", Events: []string{event(hello, stop), `{"candidates":`}, Says: "JSON"},
			{Name: "a line that is no object", Events: []string{event(hello, stop), `[1]`}, Says: "JSON"},
			{Name: "too much in one event", Events: []string{event(`{"text":"`+strings.Repeat("a", 5000)+`"}`, stop)}, Says: "larger"},
		},
		Growing: map[string]func(i int) string{
			"text":       func(int) string { return event(`{"text":"0123456789"}`, "") },
			"parts":      func(i int) string { return event(`{"functionCall":{"name":"f"}}`, "") },
			"members":    func(i int) string { return event("", `,"x`+strconv.Itoa(i)+`":1`) },
			"top":        func(i int) string { return `{"x` + strconv.Itoa(i) + `":1}` },
			"content":    func(i int) string { return `{"candidates":[{"content":{"x` + strconv.Itoa(i) + `":1}}]}` },
			"candidates": func(i int) string { return event("", `,"index":`+strconv.Itoa(i)) },
			"large":      func(int) string { return event(`{"text":"`+strings.Repeat("a", 10_000)+`"}`, "") },
		},
		Size:   func(f dialect.Fold) int { return f.(*Fold).size },
		Long:   `{"candidates":[{"content":{"parts":[{"text":"` + strings.Repeat("word ", 100) + `"}]},"finishReason":"STOP"}]}`,
		Halves: []string{`{"candidates":[{}]}`, `{"candidates":[]}`},
	})
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

func FuzzFoldAndReplay(f *testing.F) {
	dialecttest.Fuzz(f, &Codec, recordings(f))
}

func BenchmarkFold(b *testing.B) {
	dialecttest.BenchmarkFold(b, &Codec, nil, event(hello, ""))
}
