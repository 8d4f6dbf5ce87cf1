package gemini

import (
	"slices"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestATallyKnowsWhenAnAnswerIsComplete(t *testing.T) {
	candidate := func(index, reason string) string {
		return `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":` + reason + `,"index":` + index + `}]}`
	}
	for name, tt := range map[string]struct {
		events []string
		want   bool
	}{
		"nothing":                        {nil, false},
		"usage alone":                    {[]string{`{"usageMetadata":{"promptTokenCount":1}}`}, false},
		"a candidate that goes on":       {[]string{candidate("0", "null")}, false},
		"no reason yet":                  {[]string{candidate("0", `"FINISH_REASON_UNSPECIFIED"`)}, false},
		"one that ended":                 {[]string{candidate("0", "null"), candidate("0", `"STOP"`)}, true},
		"cut by a bound":                 {[]string{candidate("0", `"MAX_TOKENS"`)}, true},
		"usage behind the end":           {[]string{candidate("0", `"STOP"`), `{"usageMetadata":{}}`}, true},
		"one of two ended":               {[]string{candidate("0", `"STOP"`), candidate("1", "null")}, false},
		"both ended":                     {[]string{candidate("1", `"STOP"`), candidate("0", `"STOP"`)}, true},
		"without an index":               {[]string{`{"candidates":[{"finishReason":"STOP"}]}`}, true},
		"the same candidate by no index": {[]string{candidate("0", "null"), `{"candidates":[{"finish_reason":"STOP"}]}`}, true},
		"many candidates":                {[]string{candidate("1000", "null"), candidate("999", `"STOP"`)}, true},
		"a blocked prompt":               {[]string{`{"promptFeedback":{"blockReason":"SAFETY"}}`}, true},
	} {
		var tally Tally
		for _, event := range tt.events {
			if !tally.Add([]byte(event)) {
				t.Errorf("%s: an error is seen", name)
			}
		}
		if tally.Complete() != tt.want {
			t.Errorf("%s: complete is %t", name, tally.Complete())
		}
	}
	if new(Tally).Add([]byte(`[{"error":{"code":500}}]`)) {
		t.Error("an error is not seen")
	}
}

func TestATallyAllocatesNothing(t *testing.T) {
	data := []byte(`{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"m"}`)
	var tally Tally
	if n := testing.AllocsPerRun(100, func() { tally.Add(data) }); n != 0 {
		t.Errorf("an event allocates %v times", n)
	}
}

func TestAnOutcomeHasTheModelAndWhyEachCandidateEnded(t *testing.T) {
	var o dialect.Outcome
	for _, data := range []string{
		`{"candidates":[{"index":1,"finishReason":"STOP"}],"modelVersion":"m"}`,
		`{"candidates":[{"finishReason":"MAX_TOKENS"}],"modelVersion":"n"}`,
		`{"candidates":[{"index":1000000000,"finishReason":"STOP"}]}`,
		`{"usageMetadata":{}}`,
	} {
		ReadOutcome(&o, []byte(data))
	}
	if o.Model != "m" || !slices.Equal(o.Reasons, []string{"MAX_TOKENS", "STOP"}) {
		t.Errorf("the outcome is %+v", o)
	}
	o = dialect.Outcome{}
	if ReadOutcome(&o, []byte(`{"promptFeedback":{"blockReason":"SAFETY"}}`)); !slices.Equal(o.Reasons, []string{"SAFETY"}) {
		t.Errorf("of a blocked prompt it is %+v", o)
	}
}

func TestUsageIsToldToAnAnswerThatHasNone(t *testing.T) {
	u := dialect.Usage{Input: 3, Output: 2}
	if got := string(SetUsage([]byte(`{"candidates":[]}`), u)); got != `{"candidates":[],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}` {
		t.Errorf("it becomes %s", got)
	}
	own := `{"usageMetadata":{"promptTokenCount":1}}`
	if got := string(SetUsage([]byte(own), u)); got != own {
		t.Errorf("one that has its own becomes %s", got)
	}
}

func TestEveryEventOfAReplayHasACandidate(t *testing.T) {
	const answer = `{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"finishReason":"STOP","index":0},` +
		`{"content":{"parts":[{"text":"b"}],"role":"model"},"finishReason":"MAX_TOKENS","index":1}],"usageMetadata":{"promptTokenCount":3},"modelVersion":"m"}`
	var tally Tally
	err := Replay([]byte(answer), func(event []byte) bool {
		data := event[len("data: ") : len(event)-len("\n\n")]
		if w := readResponse(data); w.candidate() == nil {
			t.Errorf("an event without one is %s", data)
		}
		tally.Add(data)
		return true
	})
	if err != nil || !tally.Complete() || tally.Usage().Input != 3 {
		t.Errorf("%v, complete %t, used %+v", err, tally.Complete(), tally.Usage())
	}
}
