package demo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// events reads a stream to its end.
func events(t testing.TB, p *Provider, body string, usage bool) []string {
	t.Helper()
	attempt := ask(body, true)
	attempt.WantUsage = usage
	reply, err := p.Send(t.Context(), attempt)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for reply.Stream.Next() {
		all = append(all, string(reply.Stream.Event()))
	}
	if err := reply.Stream.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStreamHasOpenAIsForm(t *testing.T) {
	p := provision(t, &Provider{Words: 3})
	id := answer(t, p, hello).Get("id").Str
	chunk := func(choices, usage string) string {
		return `data: {"id":"` + id + `","object":"chat.completion.chunk","created":1750000000,"model":"demo","system_fingerprint":"fp_demo","choices":[` + choices + `]` + usage + "}\n\n"
	}
	choice := func(delta, finish string) string {
		return `{"index":0,"delta":{` + delta + `},"logprobs":null,"finish_reason":` + finish + `}`
	}
	for _, want := range []bool{false, true} {
		null, total := "", []string(nil)
		if want {
			null = `,"usage":null`
			total = []string{chunk("", `,"usage":{"prompt_tokens":4,"completion_tokens":6,"total_tokens":10}`)}
		}
		expected := slices.Concat([]string{
			chunk(choice(`"role":"assistant","content":"","refusal":null`, "null"), null),
			chunk(choice(`"content":"[demo]"`, "null"), null),
			chunk(choice(`"content":" You"`, "null"), null),
			chunk(choice(`"content":" said:"`, "null"), null),
			chunk(choice(``, `"stop"`), null),
		}, total, []string{"data: [DONE]\n\n"})
		if got := events(t, p, hello, want); !slices.Equal(got, expected) {
			t.Errorf("usage %t: got\n%s\nwant\n%s", want, strings.Join(got, ""), strings.Join(expected, ""))
		}
	}
}

func TestStreamAddsUpToTheWholeAnswer(t *testing.T) {
	p := provision(t, new(Provider))
	for _, body := range []string{
		hello,
		strings.Replace(hello, "{", `{"n":3,"max_tokens":20,`, 1),
		strings.Replace(hello, "{", `{"stop":"[demo]",`, 1),
		strings.Replace(hello, "{", `{"response_format":{"type":"json_object"},`, 1),
		`{"messages":[{"role":"user","content":"\"quoted\" \\ back\u0000slash 你好\n👋 \ud800"}]}`,
		fmt.Sprintf(withTools, userTurn, ""),
		fmt.Sprintf(withTools, userTurn, `,"n":2`),
		fmt.Sprintf(withTools, userTurn, `,"tool_choice":{"type":"function","function":{"name":"now"}}`),
		fmt.Sprintf(withTools, userTurn, `,"max_tokens":1`),
	} {
		whole := answer(t, p, body)
		type sum struct{ role, content, name, arguments, finish string }
		sums := make([]sum, len(whole.Get("choices").Array()))
		for _, event := range events(t, p, body, true) {
			data := gjson.Parse(strings.TrimPrefix(event, "data: "))
			if u := data.Get("usage"); u.IsObject() && u.Raw != whole.Get("usage").Raw {
				t.Errorf("%s: usage is %s, want %s", body, u.Raw, whole.Get("usage").Raw)
			}
			for _, c := range data.Get("choices").Array() {
				s := &sums[c.Get("index").Int()]
				s.role += c.Get("delta.role").Str
				s.content += c.Get("delta.content").Str
				s.name += c.Get("delta.tool_calls.0.function.name").Str
				s.arguments += c.Get("delta.tool_calls.0.function.arguments").Str
				s.finish += c.Get("finish_reason").Str
			}
		}
		for i, got := range sums {
			c := whole.Get("choices." + strconv.Itoa(i))
			m := c.Get("message")
			f := m.Get("tool_calls.0.function")
			want := sum{m.Get("role").Str, m.Get("content").Str, f.Get("name").Str, f.Get("arguments").Str, c.Get("finish_reason").Str}
			if got != want {
				t.Errorf("%s: choice %d adds up to %+v, want %+v", body, i, got, want)
			}
		}
	}
}
