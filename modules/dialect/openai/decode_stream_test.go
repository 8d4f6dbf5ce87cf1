package openai

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// told spells the events of a stream of chunks; "END" is the end of the connection.
func told(t *testing.T, chunks ...string) []string {
	t.Helper()
	d := NewDecoder()
	var events []string
	spell := func(e *dialect.Event) {
		switch e.Kind {
		case dialect.EventStart:
			events = append(events, "start "+e.ID+" "+e.Model)
		case dialect.EventPartStart:
			events = append(events, strings.TrimSpace(fmt.Sprintf("part %d:%d %s %s", e.Index, e.Of, e.Part.ID, e.Part.Name)))
		case dialect.EventDelta:
			events = append(events, fmt.Sprintf("text %d %s", e.Index, e.Text))
		case dialect.EventPartEnd:
			events = append(events, fmt.Sprintf("over %d", e.Index))
		case dialect.EventFinish:
			events = append(events, fmt.Sprintf("finish %d", e.Finish))
		case dialect.EventUsage:
			events = append(events, fmt.Sprintf("used %d", e.Usage.Total()))
		case dialect.EventError:
			events = append(events, "error "+e.Err.Message)
		case dialect.EventEnd:
			events = append(events, "end")
		}
	}
	for _, c := range chunks {
		if c == "END" {
			d.End(spell)
		} else if err := d.Decode([]byte(c), spell); err != nil {
			events = append(events, "unreadable")
		}
	}
	return events
}

func TestStreamsAreUnderstoodWithTheirServersHabits(t *testing.T) {
	first := chunk(`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}`)
	delta := func(members string) string {
		return chunk(`{"index":0,"delta":{` + members + `},"finish_reason":null}`)
	}
	finish := func(reason string) string {
		return chunk(`{"index":0,"delta":{},"finish_reason":"` + reason + `"}`)
	}
	text, tool, reasoning := dialect.PartText, dialect.PartToolUse, dialect.PartReasoning
	stop, tools := fmt.Sprintf("finish %d", dialect.FinishStop), fmt.Sprintf("finish %d", dialect.FinishTools)
	tests := []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"text and a tool in one chunk", []string{first, delta(`"content":"a","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]`), finish("tool_calls"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "over 0", fmt.Sprintf("part 1:%d c f", tool), "text 1 {}", "over 1", tools, "end"}},
		{"empty calls and nulls begin nothing", []string{first, delta(`"content":"a","tool_calls":[],"reasoning_content":null,"refusal":null`), delta(`"content":"b","tool_calls":null,"reasoning":""`), finish("stop"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "text 0 b", "over 0", stop, "end"}},
		{"calls without an index or an id, whole", []string{first, delta(`"tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}},{"id":"y","function":{"name":"g","arguments":"{}"}}]`), finish("stop"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d x f", tool), "text 0 {}", "over 0", fmt.Sprintf("part 1:%d y g", tool), "text 1 {}", "over 1", tools, "end"}},
		{"a call without an id", []string{first, delta(`"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]`), finish("tool_calls"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d call_c_0 f", tool), "text 0 {}", "over 0", tools, "end"}},
		{"a repeated head", []string{first, delta(`"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\""}}]`), delta(`"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":":1}"}}]`), finish("tool_calls"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d x f", tool), `text 0 {"a"`, "text 0 :1}", "over 0", tools, "end"}},
		{"arguments before the name", []string{first, delta(`"tool_calls":[{"index":0,"id":"x","function":{"arguments":"{"}}]`), delta(`"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]`), finish("tool_calls"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d x f", tool), "text 0 {", "text 0 }", "over 0", tools, "end"}},
		{"both names of thoughts", []string{first, delta(`"reasoning":"a","reasoning_content":"a"`), delta(`"content":"b"`), finish("stop"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d", reasoning), "text 0 a", "over 0", fmt.Sprintf("part 1:%d", text), "text 1 b", "over 1", stop, "end"}},
		{"text after a call", []string{first, delta(`"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]`), delta(`"content":"a"`), finish("tool_calls"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d x f", tool), fmt.Sprintf("part 1:%d", text), "text 1 a", "over 1", "over 0", tools, "end"}},
		{"a first chunk that says nothing, as from Azure", []string{`{"id":"","model":"","choices":[],"prompt_filter_results":[]}`, first, finish("stop"), "[DONE]"},
			[]string{"start c m", stop, "end"}},
		{"usage in every chunk", []string{`{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "used 2", "over 0", stop, "used 3", "end"}},
		{"other choices", []string{first, chunk(`{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}`), finish("stop"), "[DONE]"},
			[]string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "over 0", stop, "end"}},
		{"a line that cannot be read", []string{first, `{"id":`, finish("stop"), "[DONE]"}, []string{"start c m", "unreadable", stop, "end"}},
		{"chunks after the end", []string{first, finish("stop"), "[DONE]", delta(`"content":"a"`), "END"}, []string{"start c m", stop, "end"}},
		{"no [DONE]", []string{first, finish("stop"), "END"}, []string{"start c m", stop, "end"}},
		{"no reason, but [DONE]", []string{first, delta(`"content":"a"`), "[DONE]"}, []string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "over 0", fmt.Sprintf("finish %d", dialect.FinishUnknown), "end"}},
		{"nothing but [DONE]", []string{"[DONE]"}, []string{"error the provider's answer broke off before its end"}},
		{"no end", []string{first, delta(`"content":"a"`), "END"}, []string{"start c m", fmt.Sprintf("part 0:%d", text), "text 0 a", "error the provider's answer broke off before its end"}},
		{"an error", []string{first, `{"error":{"message":"boom"}}`, finish("stop"), "[DONE]", "END"}, []string{"start c m", "error boom"}},
		{"an error for a reason", []string{first, finish("error"), "[DONE]"}, []string{"start c m", "error the provider failed in the middle of its answer"}},
		{"an index out of bounds", []string{first, delta(`"tool_calls":[{"index":999999,"id":"x","function":{"name":"f"}}]`), finish("stop"), "[DONE]"}, []string{"start c m", stop, "end"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(t, tt.chunks...); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestDecodingAFragmentOfAStreamAllocatesNothing(t *testing.T) {
	d := NewDecoder()
	ignore := func(*dialect.Event) {}
	data := []byte(chunk(`{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}`))
	if err := d.Decode(data, ignore); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { d.Decode(data, ignore) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
