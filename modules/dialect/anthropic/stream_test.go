package anthropic

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// told spells what a stream of events says; "END" is the end of the connection.
func told(events ...string) []string {
	d := NewDecoder()
	var out []string
	spell := func(e *dialect.Event) {
		switch e.Kind {
		case dialect.EventStart:
			out = append(out, fmt.Sprintf("start %s used %d", e.ID, e.Usage.Total()))
		case dialect.EventPartStart:
			out = append(out, strings.TrimSpace(fmt.Sprintf("part %d:%d %s %s", e.Index, e.Of, e.Part.ID, e.Part.Name)))
		case dialect.EventDelta:
			out = append(out, fmt.Sprintf("text %d %s", e.Index, e.Text))
		case dialect.EventSignature:
			out = append(out, fmt.Sprintf("signed %d %s", e.Index, e.Text))
		case dialect.EventPartEnd:
			out = append(out, fmt.Sprintf("over %d", e.Index))
		case dialect.EventFinish:
			out = append(out, fmt.Sprintf("finish %d %s", e.Finish, e.StopSequence))
		case dialect.EventUsage:
			out = append(out, fmt.Sprintf("used %+v", e.Usage))
		case dialect.EventError:
			out = append(out, "error "+e.Err.Message)
		case dialect.EventEnd:
			out = append(out, "end")
		}
	}
	for _, e := range events {
		if e == "END" {
			d.End(spell)
		} else if err := d.Decode([]byte(e), spell); err != nil {
			out = append(out, "unreadable")
		}
	}
	return out
}

func TestStreamsAreUnderstood(t *testing.T) {
	const ended = `{"type":"content_block_stop","index":0}`
	tests := []struct {
		name   string
		events []string
		want   []string
	}{
		{"usage is what was told last", []string{
			`{"type":"message_start","message":{"id":"m","usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":3,"output_tokens":1}}}`,
			`{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":4}}`,
			`{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"input_tokens":11,"output_tokens":9,"output_tokens_details":{"thinking_tokens":6}}}`, over},
			[]string{"start m used 19", "used {Input:10 CacheRead:5 CacheWrite:3 Output:4 Reasoning:0 Estimated:false}", "finish 1 END",
				"used {Input:11 CacheRead:5 CacheWrite:3 Output:3 Reasoning:6 Estimated:false}", "end"}},
		{"blocks that hold something from the start", []string{started,
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}`, ended,
			`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":"b"}}}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"c","signature":"d"}}`, stopped, over},
			[]string{"start m used 1", "part 0:1", "text 0 a", "over 0", "part 1:5 t f", `text 1 {"a":"b"}`, "part 2:7", "text 2 c", "signed 2 d",
				"over 1", "over 2", "finish 1 ", "used {Input:1 CacheRead:0 CacheWrite:0 Output:2 Reasoning:0 Estimated:false}", "end"}},
		{"what is not known is ignored", []string{`{"type":"ping"}`, started, `{"type":"new","index":0}`, blockStart,
			`{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":"x"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"x"}}`,
			`{"type":"content_block_delta","index":5,"delta":{"type":"text_delta","text":"x"}}`, delta, ended, ended, stopped, over},
			[]string{"start m used 1", "part 0:1", "text 0 0123456789", "over 0", "finish 1 ", "used {Input:1 CacheRead:0 CacheWrite:0 Output:2 Reasoning:0 Estimated:false}", "end"}},
		{"a tool that the provider runs is opaque", []string{started,
			`{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}`, ended, stopped, over},
			[]string{"start m used 1", "part 0:9", "over 0", "finish 1 ", "used {Input:1 CacheRead:0 CacheWrite:0 Output:2 Reasoning:0 Estimated:false}", "end"}},
		{"a line that cannot be read", []string{started, `{"type":`, stopped, over},
			[]string{"start m used 1", "unreadable", "finish 1 ", "used {Input:1 CacheRead:0 CacheWrite:0 Output:2 Reasoning:0 Estimated:false}", "end"}},
		{"no message_stop", []string{started, stopped, "END"},
			[]string{"start m used 1", "finish 1 ", "used {Input:1 CacheRead:0 CacheWrite:0 Output:2 Reasoning:0 Estimated:false}", "end"}},
		{"no stop_reason", []string{started, over, "END"}, []string{"start m used 1", "finish 7 ", "end"}},
		{"no end", []string{started, blockStart, "END"}, []string{"start m used 1", "part 0:1", "error the provider's answer broke off before its end"}},
		{"nothing but the end", []string{over}, []string{"error the provider's answer broke off before its end"}},
		{"events after an error", []string{started, `{"type":"error","error":{"type":"api_error","message":"boom"}}`, delta, over, "END"},
			[]string{"start m used 1", "error boom"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(tt.events...); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Clients take the last delta of a signature for all of it.
func TestASignatureIsOneDelta(t *testing.T) {
	e := NewEncoder()
	var out []byte
	for _, event := range []dialect.Event{
		{Kind: dialect.EventStart, ID: "m"},
		{Kind: dialect.EventPartStart, Of: dialect.PartReasoning, Part: &dialect.Part{Kind: dialect.PartReasoning}},
		{Kind: dialect.EventSignature, Of: dialect.PartReasoning, Text: dialect.Inside("ab"), Signer: dialect.Anthropic},
		{Kind: dialect.EventDelta, Of: dialect.PartReasoning, Text: dialect.Inside("Hm.")},
		{Kind: dialect.EventSignature, Of: dialect.PartReasoning, Text: dialect.Inside("cd"), Signer: dialect.Anthropic},
		{Kind: dialect.EventPartEnd, Of: dialect.PartReasoning},
	} {
		out = e.Encode(out, &event)
	}
	if strings.Count(string(out), "signature_delta") != 1 || !strings.Contains(string(out), `"signature":"abcd"`) {
		t.Errorf("got %s", out)
	}
}

func TestAFragmentOfAStreamCostsNoAllocation(t *testing.T) {
	d, e := NewDecoder(), NewEncoder()
	dst := make([]byte, 0, 4096)
	give := func(event *dialect.Event) { e.Encode(dst, event) }
	for _, data := range []string{started, blockStart} {
		if err := d.Decode([]byte(data), give); err != nil {
			t.Fatal(err)
		}
	}
	data := []byte(delta)
	if n := testing.AllocsPerRun(100, func() { d.Decode(data, give) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
