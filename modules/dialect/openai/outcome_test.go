package openai

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestOutcomeTellsModelAndReasons(t *testing.T) {
	for name, tt := range map[string]struct {
		texts   []string
		model   string
		reasons []string
	}{
		"whole":            {[]string{`{"model":"m-1","choices":[{"index":0,"message":{},"finish_reason":"stop"}]}`}, "m-1", []string{"stop"}},
		"without index":    {[]string{`{"choices":[{"finish_reason":"length"}]}`}, "", []string{"length"}},
		"two choices":      {[]string{`{"model":"m","choices":[{"index":1,"finish_reason":"length"},{"index":0,"finish_reason":"stop"}]}`}, "m", []string{"stop", "length"}},
		"stream":           {[]string{`{"model":"m","choices":[{"index":0,"finish_reason":null}]}`, `{"model":"n","choices":[{"index": 0, "finish_reason" : "tool_calls"}]}`, `{"choices":[]}`}, "m", []string{"tool_calls"}},
		"stream of two":    {[]string{`{"choices":[{"index":1,"finish_reason":"stop"}]}`, `{"choices":[{"index":0,"finish_reason":"length"}]}`}, "", []string{"length", "stop"}},
		"one is cut":       {[]string{`{"choices":[{"index":1,"finish_reason":"stop"}]}`}, "", []string{"", "stop"}},
		"embeddings":       {[]string{`{"object":"list","model":"e","data":[]}`}, "e", nil},
		"an absurd index":  {[]string{`{"choices":[{"index":1000000000,"finish_reason":"stop"}]}`}, "", nil},
		"of another shape": {[]string{`{"model":7,"choices":{"finish_reason":"stop"}}`, `[]`, `"x"`, `{`}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var o dialect.Outcome
			for _, text := range tt.texts {
				ReadOutcome(&o, []byte(text))
			}
			if o.Model != tt.model || !slices.Equal(o.Reasons, tt.reasons) {
				t.Errorf("it is %q, %q", o.Model, o.Reasons)
			}
		})
	}
}

// What a provider can make an Outcome hold is bounded, and the answer's text is never in it.
func FuzzOutcome(f *testing.F) {
	f.Add([]byte(`{"model":"m","choices":[{"index":3,"finish_reason":"stop","message":{"content":"x"}}]}`))
	f.Add([]byte(`{"choices":[{"index":127},{"index":-1,"finish_reason":"a"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o dialect.Outcome
		for range 2 {
			ReadOutcome(&o, text)
		}
		if len(o.Reasons) > maxChoiceIndex {
			t.Errorf("there are %d reasons", len(o.Reasons))
		}
		const canary = "the text of the answer"
		o = dialect.Outcome{}
		content := dialect.String(nil, canary+string(text))
		ReadOutcome(&o, fmt.Appendf(nil, `{"choices":[{"index":0,"message":{"content":%s},"delta":{"content":%s},"finish_reason":"stop"}]}`, content, content))
		if strings.Contains(fmt.Sprint(o), canary) || !slices.Equal(o.Reasons, []string{"stop"}) {
			t.Errorf("it is %+v", o)
		}
	})
}
