package anthropic

import (
	"slices"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestOutcomeTellsModelAndReason(t *testing.T) {
	for name, events := range map[string][]string{
		"whole": {`{"type":"message","model":"m","content":[],"stop_reason":"max_tokens"}`},
		"in events": {
			`{"type":"message_start","message":{"model":"m","stop_reason":null}}`,
			`{"type":"content_block_delta","delta":{"type":"text_delta","text":"model"}}`,
			`{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{}}`,
			`{"type":"message_stop"}`,
		},
	} {
		var o dialect.Outcome
		for _, event := range events {
			ReadOutcome(&o, []byte(event))
		}
		if o.Model != "m" || !slices.Equal(o.Reasons, []string{"max_tokens"}) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestTallyKeepsTheLatestCounts(t *testing.T) {
	var tally Tally
	for _, event := range []string{
		`{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}`,
		`{"type":"ping"}`,
		`{"type":"message_delta","usage":{"output_tokens":9}}`,
		`{"type":"content_block_delta","usage":{"output_tokens":99}}`,
	} {
		tally.Add([]byte(event))
	}
	if want := (dialect.Usage{Input: 5, CacheRead: 3, CacheWrite: 2, Output: 9}); tally.Usage() != want {
		t.Errorf("the usage is %+v, want %+v", tally.Usage(), want)
	}
}

func TestUsageIsSetOnlyWhereThereIsNone(t *testing.T) {
	for answer, want := range map[string]string{
		`{"type":"message","usage":{"input_tokens":1,"output_tokens":2}}`: `{"type":"message","usage":{"input_tokens":1,"output_tokens":2}}`,
		`{"type":"message"}`: `{"type":"message","usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}}`,
	} {
		if got := string(SetUsage([]byte(answer), dialect.Usage{Input: 3, Output: 4})); got != want {
			t.Errorf("%s becomes %s, want %s", answer, got, want)
		}
	}
}
