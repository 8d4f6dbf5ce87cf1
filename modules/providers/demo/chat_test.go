package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestTextSaysThatItIsADemosAndQuotesThePrompt(t *testing.T) {
	p := provision(t, new(Provider))
	got := answer(t, p, hello).Get("choices.0.message.content").Str
	const want = `[demo] You said: "Hello there". This answer was made offline by the gateway's demo provider; no model was asked.`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
}

func TestTextHasTheWordsAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.IntRange(1, 200).Draw(t, "words")
		said := rapid.String().Draw(t, "said")
		text := string(appendText(nil, words, "You said", said, rapid.Uint64().Draw(t, "seed")))
		if got := len(strings.Split(text, " ")); got != words {
			t.Fatalf("%q has %d words, want %d", text, got, words)
		}
		if !strings.HasPrefix(text, "[demo]") {
			t.Fatalf("%q does not say that it is a demo's", text)
		}
	})
}

func TestExcerptIsShort(t *testing.T) {
	for _, tt := range []struct{ said, want string }{
		{"", ""},
		{"  two\n\twords ", "two words"},
		{"one two three four five six", "one two three four five six"},
		{"one two three four five six seven", "one two three four five six…"},
		{strings.Repeat("é", 81), strings.Repeat("é", 80) + "…"},
	} {
		if got := string(appendExcerpt(nil, tt.said)); got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.said, got, tt.want)
		}
	}
}

func TestAnswerDependsOnWhatMattersOnly(t *testing.T) {
	p := provision(t, new(Provider))
	base := answer(t, p, hello)
	for _, tt := range []struct {
		body string
		same bool
	}{
		{`{"model":"other","stream":true,"stream_options":{"include_usage":true},"user":"u","metadata":{"a":"b"},"messages":[{"role":"user","content":"Hello there"}]}`, true},
		{`{"model":"demo","messages":[{"role":"user","content":"Hello there"}],"temperature":0.5}`, false},
		{`{"model":"demo","messages":[{"role":"user","content":"Hello  there"}]}`, false},
	} {
		got := answer(t, p, tt.body)
		if (got.Raw == base.Raw) != tt.same {
			t.Errorf("%s: same answer %t, want %t", tt.body, !tt.same, tt.same)
		}
	}
}

func TestUsageIsHonest(t *testing.T) {
	p := provision(t, new(Provider))
	tools := `[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
	for _, tt := range []struct {
		name, body string
		prompt     int64
	}{
		{"all messages", `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]}`, countTokens("Be brief.") + countTokens("Hello")},
		{"parts with text", `{"messages":[{"role":"user","content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"two"}]}]}`, 2},
		{"earlier tool calls", `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"fn","arguments":"{}"}}]}]}`, 2},
		{"tools", `{"messages":[{"role":"user","content":"Hello"}],"tools":` + tools + `}`, countTokens("Hello") + countTokens(tools)},
		{"several choices", `{"n":3,"messages":[{"role":"user","content":"Hello"}]}`, 2},
	} {
		got := answer(t, p, tt.body)
		var completion int64
		for _, c := range got.Get("choices.#.message").Array() {
			completion += countTokens(c.Get("content").Str)
			completion += countTokens(c.Get("tool_calls.0.function.name").Str) + countTokens(c.Get("tool_calls.0.function.arguments").Str)
		}
		u := got.Get("usage")
		if u.Get("prompt_tokens").Int() != tt.prompt || u.Get("completion_tokens").Int() != completion || u.Get("total_tokens").Int() != tt.prompt+completion {
			t.Errorf("%s: usage is %s, want %d and %d", tt.name, u.Raw, tt.prompt, completion)
		}
	}
}

func TestLimitsEndTheAnswer(t *testing.T) {
	p := provision(t, new(Provider))
	for _, tt := range []struct{ fields, text, finish string }{
		{`"max_tokens":4`, "[demo] You", "length"},
		{`"max_completion_tokens":3,"max_tokens":50`, "[demo]", "length"},
		{`"max_tokens":5,"stop":"nowhere"`, "[demo] You said", "length"},
		{`"stop":" said"`, "[demo] You", "stop"},
		{`"stop":["said","You"]`, "[demo] ", "stop"},
		{`"stop":" said","max_tokens":4`, "[demo] You", "stop"},
		{`"stop":"[demo]"`, "", "stop"},
	} {
		body := strings.Replace(hello, "{", "{"+tt.fields+",", 1)
		got := answer(t, p, body).Get("choices.0")
		if text := got.Get("message.content").Str; text != tt.text || got.Get("finish_reason").Str != tt.finish {
			t.Errorf("%s: got %q by %s, want %q by %s", tt.fields, text, got.Get("finish_reason"), tt.text, tt.finish)
		}
	}
}

const withTools = `{"messages":[%s],"tools":[
	{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
	{"type":"function","function":{"name":"now"}}]%s}`

const (
	userTurn      = `{"role":"user","content":"How is the weather?"}`
	assistantTurn = `{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"weather","arguments":"{}"}}]}`
	toolTurn      = `{"role":"tool","tool_call_id":"c","content":"sunny, 21 degrees"}`
)

func TestToolsAreCalledWhereTheyAreDue(t *testing.T) {
	p := provision(t, new(Provider))
	for _, tt := range []struct{ turns, choice, name, arguments string }{
		{userTurn, ``, "weather", `{"city":"demo"}`},
		{userTurn, `,"tool_choice":"auto"`, "weather", `{"city":"demo"}`},
		{userTurn, `,"tool_choice":"required","parallel_tool_calls":true`, "weather", `{"city":"demo"}`},
		{userTurn, `,"tool_choice":{"type":"function","function":{"name":"now"}}`, "now", `{}`},
		{userTurn, `,"tool_choice":"none"`, "", ""},
		{userTurn + "," + assistantTurn + "," + toolTurn, ``, "", ""},
		{userTurn + "," + assistantTurn + "," + toolTurn, `,"tool_choice":"required"`, "weather", `{"city":"demo"}`},
		{assistantTurn, ``, "", ""},
	} {
		got := answer(t, p, fmt.Sprintf(withTools, tt.turns, tt.choice)).Get("choices.0")
		calls := got.Get("message.tool_calls").Array()
		if tt.name == "" {
			if len(calls) > 0 || got.Get("finish_reason").Str != "stop" {
				t.Errorf("%s: got %s, want text", tt.choice, got.Raw)
			}
			continue
		}
		if len(calls) != 1 || got.Get("finish_reason").Str != "tool_calls" || got.Get("message.content").Type != gjson.Null {
			t.Errorf("%s: got %s, want one tool call", tt.choice, got.Raw)
			continue
		}
		if f := calls[0].Get("function"); f.Get("name").Str != tt.name || f.Get("arguments").Str != tt.arguments {
			t.Errorf("%s: got %s, want %s with %s", tt.choice, f.Raw, tt.name, tt.arguments)
		}
	}
}

func TestToolResultIsQuoted(t *testing.T) {
	p := provision(t, new(Provider))
	got := answer(t, p, fmt.Sprintf(withTools, userTurn+","+assistantTurn+","+toolTurn, "")).Get("choices.0.message.content").Str
	if !strings.HasPrefix(got, `[demo] The tool said: "sunny, 21 degrees".`) {
		t.Errorf("got %q", got)
	}
}

func TestToolCallIsCutWhereTokensRunOut(t *testing.T) {
	p := provision(t, new(Provider))
	for _, tt := range []struct {
		limit     int
		name, arg string
	}{
		{1, "", ""}, {2, "weather", ""}, {3, "weather", `{"`},
	} {
		got := answer(t, p, fmt.Sprintf(withTools, userTurn, fmt.Sprintf(`,"max_tokens":%d`, tt.limit)))
		f := got.Get("choices.0.message.tool_calls.0.function")
		if f.Get("name").Str != tt.name || f.Get("arguments").Str != tt.arg || got.Get("choices.0.finish_reason").Str != "length" {
			t.Errorf("%d tokens give %s", tt.limit, got.Raw)
		}
		if used := got.Get("usage.completion_tokens").Int(); used > int64(tt.limit) {
			t.Errorf("%d tokens were used, want at most %d", used, tt.limit)
		}
	}
}

func TestResponseFormatIsKept(t *testing.T) {
	p := provision(t, new(Provider))
	content := func(format string) string {
		return answer(t, p, strings.Replace(hello, "{", `{"response_format":`+format+`,`, 1)).Get("choices.0.message.content").Str
	}
	if got := content(`{"type":"text"}`); !strings.HasPrefix(got, "[demo]") {
		t.Errorf("text is %q", got)
	}
	if got := content(`{"type":"json_object"}`); !gjson.Parse(got).IsObject() || !gjson.Valid(got) {
		t.Errorf("a JSON object is %q", got)
	}
	if got := content(`{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"integer","minimum":4}},"required":["n"]}}}`); got != `{"n":4}` {
		t.Errorf("an instance is %q", got)
	}
}

func TestImpossibleRequestsNameTheField(t *testing.T) {
	p := provision(t, new(Provider))
	for _, tt := range []struct{ body, field string }{
		{`[]`, ""},
		{`{}`, "messages"},
		{`{"messages":[]}`, "messages"},
		{`{"messages":"hi"}`, "messages"},
		{`{"messages":[1]}`, "messages[0]"},
		{`{"messages":[{"role":"user","content":"x"},{"role":"bot","content":"x"}]}`, "messages[1].role"},
		{`{"messages":[{"role":"user","content":5}]}`, "messages[0].content"},
		{`{"messages":[{"role":"user","content":["x"]}]}`, "messages[0].content"},
		{`{"n":0,"messages":[{"role":"user","content":"x"}]}`, "n"},
		{`{"n":129,"messages":[{"role":"user","content":"x"}]}`, "n"},
		{`{"max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, "max_tokens"},
		{`{"max_tokens":"9","messages":[{"role":"user","content":"x"}]}`, "max_tokens"},
		{`{"max_completion_tokens":1.5,"messages":[{"role":"user","content":"x"}]}`, "max_completion_tokens"},
		{`{"stop":5,"messages":[{"role":"user","content":"x"}]}`, "stop"},
		{`{"stop":[""],"messages":[{"role":"user","content":"x"}]}`, "stop"},
		{`{"stop":["a","b","c","d","e"],"messages":[{"role":"user","content":"x"}]}`, "stop"},
		{`{"tools":{},"messages":[{"role":"user","content":"x"}]}`, "tools"},
		{`{"tools":[],"messages":[{"role":"user","content":"x"}]}`, "tools"},
		{`{"tools":[{"type":"custom"}],"messages":[{"role":"user","content":"x"}]}`, "tools[0].type"},
		{`{"tools":[{"type":"function","function":{}}],"messages":[{"role":"user","content":"x"}]}`, "tools[0].function.name"},
		{`{"tools":[{"type":"function","function":{"name":"f","parameters":false}}],"messages":[{"role":"user","content":"x"}]}`, "tools"},
		{`{"tool_choice":"required","messages":[{"role":"user","content":"x"}]}`, "tool_choice"},
		{fmt.Sprintf(withTools, userTurn, `,"tool_choice":"sometimes"`), "tool_choice"},
		{fmt.Sprintf(withTools, userTurn, `,"tool_choice":{"type":"function","function":{"name":"later"}}`), "tool_choice"},
		{`{"response_format":{"type":"yaml"},"messages":[{"role":"user","content":"x"}]}`, "response_format.type"},
		{`{"response_format":{"type":"json_schema"},"messages":[{"role":"user","content":"x"}]}`, "response_format.json_schema.schema"},
		{`{"response_format":{"type":"json_schema","json_schema":{"schema":{"enum":[]}}},"messages":[{"role":"user","content":"x"}]}`, "response_format.json_schema.schema"},
	} {
		for _, stream := range []bool{false, true} {
			_, err := p.Send(t.Context(), ask(tt.body, stream))
			if kind, field := kindOf(t, err); kind != dialect.InvalidRequest || field != tt.field {
				t.Errorf("%s: got %s at %q, want %q", tt.body, kind, field, tt.field)
			}
		}
	}
}

func TestNullFieldsAreAsIfAbsent(t *testing.T) {
	p := provision(t, new(Provider))
	answer(t, p, `{"n":null,"max_tokens":null,"stop":null,"tools":null,"tool_choice":null,"response_format":null,"messages":[{"role":"user","content":"x"}]}`)
}

// The smallest bound of the structured prompt surface leaves room for an analysis.
func TestAnAnalysisFitsIntoFiftyTokens(t *testing.T) {
	p := provision(t, new(Provider))
	schema := `{"type":"object","required":["intent","subject","entities","output_format","original_language","confidence_score"],"properties":{"intent":{"type":"string"},"subject":{"type":"string"},"entities":{"type":"object"},"output_format":{"const":"json"},"original_language":{"type":"string"},"confidence_score":{"type":"number","minimum":0,"maximum":1}}}`
	for _, prompt := range []string{"Extract entities from: John Smith works at Acme Corp in New York", "Internationalisierungsanforderungen", "翻译：你好世界", "."} {
		got := answer(t, p, fmt.Sprintf(`{"max_tokens":50,"messages":[{"role":"user","content":%q}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":%s}}}`, prompt, schema))
		if got.Get("choices.0.finish_reason").Str != "stop" || !gjson.Valid(got.Get("choices.0.message.content").Str) {
			t.Errorf("%q gives %s", prompt, got.Raw)
		}
	}
}
