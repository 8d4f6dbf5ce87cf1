package gemini

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// event is an event of a stream that adds parts; more is further members of its candidate.
func event(parts, more string) string {
	return `{"candidates":[{"content":{"parts":[` + parts + `],"role":"model"}` + more + `}],"responseId":"r","modelVersion":"m"}`
}

const (
	stop  = `,"finishReason":"STOP"`
	hello = `{"text":"Hello"}`
)

// told spells what a stream of events says, and its end.
func told(events ...string) []string {
	d := NewDecoder()
	var out []string
	spell := func(e *dialect.Event) {
		switch e.Kind {
		case dialect.EventStart:
			out = append(out, fmt.Sprintf("start %s %s used %d", e.ID, e.Model, e.Usage.Total()))
		case dialect.EventPartStart:
			out = append(out, strings.TrimSpace(fmt.Sprintf("part %d:%d %s %s %s", e.Index, e.Of, e.Part.ID, e.Part.Name, e.Part.Signature)))
		case dialect.EventDelta:
			out = append(out, fmt.Sprintf("text %d %s", e.Index, e.Text))
		case dialect.EventSignature:
			out = append(out, fmt.Sprintf("signed %d %s by %s", e.Index, e.Text, e.Signer))
		case dialect.EventCitation:
			out = append(out, fmt.Sprintf("cites %d %s %s %s", e.Index, e.Citation.URL, e.Citation.Title, e.Citation.Quote))
		case dialect.EventPartEnd:
			out = append(out, fmt.Sprintf("over %d", e.Index))
		case dialect.EventFinish:
			out = append(out, fmt.Sprintf("finish %d", e.Finish))
		case dialect.EventUsage:
			out = append(out, fmt.Sprintf("used %+v", e.Usage))
		case dialect.EventError:
			out = append(out, "error "+e.Err.Message)
		case dialect.EventEnd:
			out = append(out, "end")
		}
	}
	for _, e := range events {
		if err := d.Decode([]byte(e), spell); err != nil {
			out = append(out, "unreadable")
		}
	}
	d.End(spell)
	d.End(spell)
	return out
}

func TestStreamsAreUnderstood(t *testing.T) {
	const start = "start r m used 0"
	grounding := func(more string) string {
		return `,"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}` + more + `],"groundingSupports":[{"segment":{"endIndex":5,"text":"Hello"},"groundingChunkIndices":[0]}]}`
	}
	tests := []struct {
		name   string
		events []string
		want   []string
	}{
		{"usage is what was told last", []string{
			`{"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10},"responseId":"r","modelVersion":"m"}`, event(hello, ""), event("", stop),
			`{"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"toolUsePromptTokenCount":3,"candidatesTokenCount":2,"thoughtsTokenCount":7}}`},
			[]string{"start r m used 10", "part 0:1", "text 0 Hello", "used {Input:9 CacheRead:4 CacheWrite:0 Output:2 Reasoning:7 Estimated:false}", "over 0", "finish 1", "end"}},
		{"thoughts, then text, in one event", []string{event(`{"text":"Hm.","thought":true},`+hello, stop)},
			[]string{start, "part 0:7", "text 0 Hm.", "over 0", "part 1:1", "text 1 Hello", "over 1", "finish 1", "end"}},
		{"a call between texts", []string{event(hello, ""), event(`{"functionCall":{"name":"f","args":{"a":"b"}},"thoughtSignature":"c2ln"},{"text":" you"}`, stop)},
			[]string{start, "part 0:1", "text 0 Hello", "over 0", "part 1:5 call_r_0 f c2ln", `text 1 {"a":"b"}`, "over 1", "part 2:1", "text 2  you", "over 2", "finish 3", "end"}},
		{"calls of one name have ids of their own", []string{event(`{"functionCall":{"name":"f"}},{"functionCall":{"name":"f","id":"x"}},{"functionCall":{"name":"f","args":{}}}`, stop)},
			[]string{start, "part 0:5 call_r_0 f", "over 0", "part 1:5 x f", "over 1", "part 2:5 call_r_2 f", "over 2", "finish 3", "end"}},
		{"a call without a name is none", []string{event(`{"functionCall":{"args":{}}}`, stop)}, []string{start, "finish 1", "end"}},
		{"a call that a bound cut", []string{event(`{"functionCall":{"name":"f"}}`, `,"finishReason":"MAX_TOKENS"`)}, []string{start, "part 0:5 call_r_0 f", "over 0", "finish 2", "end"}},
		{"a signature in an event of its own", []string{event(hello, ""), event(`{"text":"","thoughtSignature":"c2ln"}`, stop)},
			[]string{start, "part 0:1", "text 0 Hello", "signed 0 c2ln by gemini", "over 0", "finish 1", "end"}},
		{"signed thoughts", []string{event(`{"text":"a","thought":true}`, ""), event(`{"text":"","thought":true,"thoughtSignature":"c2ln"}`, ""), event(`{"text":"b","thought":true}`, stop)},
			[]string{start, "part 0:7", "text 0 a", "signed 0 c2ln by gemini", "over 0", "part 1:7", "text 1 b", "over 1", "finish 1", "end"}},
		{"empty texts", []string{event(`{"text":""}`, ""), event(hello, ""), event(`{"text":""}`, stop)}, []string{start, "part 0:1", "text 0 Hello", "over 0", "finish 1", "end"}},
		{"what we do not know is opaque", []string{event(`{"executableCode":{"code":"1"}}`, stop)}, []string{start, "part 0:9", "over 0", "finish 1", "end"}},
		{"pages, told again", []string{event(hello, grounding("")), event(`{"text":"!"}`, stop+grounding(`,{"web":{"uri":"https://b"}}`))},
			[]string{start, "part 0:1", "text 0 Hello", "cites 0 https://a A Hello", "text 0 !", "over 0", "finish 1", "end"}},
		{"other candidates", []string{event(hello, ""), event(`{"text":"Other"}`, `,"index":1`), event("", stop)}, []string{start, "part 0:1", "text 0 Hello", "over 0", "finish 1", "end"}},
		{"a blocked prompt", []string{`{"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"No."},"responseId":"r","modelVersion":"m"}`},
			[]string{start, "part 0:8", "text 0 No.", "over 0", "finish 4", "end"}},
		{"withheld in the middle", []string{event(hello, ""), event("", `,"finishReason":"PROHIBITED_CONTENT","finishMessage":"No."`)},
			[]string{start, "part 0:1", "text 0 Hello", "over 0", "part 1:8", "text 1 No.", "over 1", "finish 4", "end"}},
		{"a call that the model got wrong", []string{event("", `,"finishReason":"MALFORMED_FUNCTION_CALL"`)}, []string{start, "error the provider could not complete its answer"}},
		{"a reason that is not known", []string{event(hello, `,"finishReason":"NEW"`)}, []string{start, "part 0:1", "text 0 Hello", "over 0", "finish 7", "end"}},
		{"no reason", []string{event(hello, "")}, []string{start, "part 0:1", "text 0 Hello", "error the provider's answer broke off before its end"}},
		{"nothing", nil, []string{"error the provider's answer broke off before its end"}},
		{"a line that cannot be read", []string{event(hello, ""), `{"candidates":`, event("", stop)}, []string{start, "part 0:1", "text 0 Hello", "unreadable", "over 0", "finish 1", "end"}},
		{"an error, and what follows it", []string{event(hello, ""), `{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}`, event(hello, stop)},
			[]string{start, "part 0:1", "text 0 Hello", "error Overloaded."}},
		{"an error in an array", []string{`[{"error":{"code":500,"message":"Boom.","status":"INTERNAL"}}]`}, []string{"error Boom."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(tt.events...); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Google's clients would not read a signature that is no base64.
func TestOnlyWhatIsBase64IsASignature(t *testing.T) {
	for text, want := range map[string]bool{"c2ln": true, "c2k=": true, "c2-_": true, "sig": false, "c2 n": false, `c\/ln`: false, "=c2l": false} {
		_, rest := signatureOf(&dialect.Part{Kind: dialect.PartReasoning, Signature: dialect.Inside(text), Signer: dialect.Anthropic})
		if got := rest != nil; got != want {
			t.Errorf("%q is passed on: %v", text, got)
		}
	}
}

func TestAFragmentOfAStreamCostsNoAllocation(t *testing.T) {
	d, e := NewDecoder(), NewEncoder()
	dst := make([]byte, 0, 4096)
	give := func(event *dialect.Event) { e.Encode(dst, event) }
	data := []byte(`{"candidates":[{"content":{"parts":[{"text":"Hello \"you\"\n"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9},"modelVersion":"gemini-3-flash","responseId":"dQ1vaM-hE7S"}`)
	if err := d.Decode(data, give); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { d.Decode(data, give) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
