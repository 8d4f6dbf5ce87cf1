package openai

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/dialecttest"
)

func replayed(t rapid.TB, answer []byte, includeUsage bool) []byte {
	return dialecttest.Replayed(t, &Codec, answer, dialect.StreamOptions{IncludeUsage: includeUsage})
}

type object = map[string]any

func genText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("abc \"\\/\n\t\x01é€😀\u2028")), 0, 200, -1),
		rapid.SampledFrom([]string{"", "Hello there, this is a text of some words that is cut into more than one piece.", "{\"a\": [1, 2]}"}),
	)
}

func optional(t *rapid.T, o object, name string, value func() any) {
	if rapid.Bool().Draw(t, name) {
		o[name] = value()
	}
}

// genCompletion makes chat completions with everything that a stream can carry.
func genCompletion() *rapid.Generator[object] {
	text := func(t *rapid.T) func() any {
		return func() any {
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				return nil
			}
			return genText().Draw(t, "text")
		}
	}
	function := func(t *rapid.T) object {
		return object{"name": rapid.StringMatching(`[a-z_]{1,20}`).Draw(t, "name"), "arguments": genText().Draw(t, "arguments")}
	}
	call := rapid.Custom(func(t *rapid.T) any {
		c := object{"id": rapid.StringMatching(`call_[a-z]{1,8}`).Draw(t, "id"), "type": "function", "function": function(t)}
		optional(t, c, "extra_content", func() any { return object{"signature": genText().Draw(t, "signature")} })
		return c
	})
	token := rapid.Custom(func(t *rapid.T) any {
		return object{"token": genText().Draw(t, "token"), "logprob": -1.5, "bytes": []int{1, 2}, "top_logprobs": []any{}}
	})
	return rapid.Custom(func(t *rapid.T) object {
		answer := object{"id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952, "model": genText().Draw(t, "model")}
		for _, name := range []string{"system_fingerprint", "service_tier", "provider"} {
			optional(t, answer, name, text(t))
		}
		optional(t, answer, "usage", func() any { return object{"prompt_tokens": 9007199254740993, "completion_tokens": 2} })
		optional(t, answer, "citations", func() any { return []string{genText().Draw(t, "citation")} })
		choices := []any{}
		for i := range rapid.IntRange(1, 3).Draw(t, "choices") {
			message := object{"role": "assistant", "content": text(t)()}
			for _, name := range []string{"refusal", "reasoning_content", "reasoning", "mood"} {
				optional(t, message, name, text(t))
			}
			optional(t, message, "annotations", func() any { return []any{object{"type": "url_citation"}} })
			optional(t, message, "tool_calls", func() any { return rapid.SliceOfN(call, 1, 3).Draw(t, "calls") })
			optional(t, message, "function_call", func() any { return function(t) })
			choice := object{"index": i, "message": message, "finish_reason": rapid.SampledFrom([]string{"stop", "length", "tool_calls"}).Draw(t, "finish")}
			optional(t, choice, "stop_reason", text(t))
			optional(t, choice, "logprobs", func() any {
				switch rapid.IntRange(0, 2).Draw(t, "logprobs") {
				case 0:
					return nil
				case 1:
					return object{"content": rapid.SliceOfN(token, 0, 3).Draw(t, "tokens"), "refusal": nil}
				}
				return object{"content": nil, "refusal": rapid.SliceOfN(token, 0, 3).Draw(t, "tokens")}
			})
			choices = append(choices, choice)
		}
		answer["choices"] = choices
		return answer
	})
}

func encode(t interface{ Fatal(...any) }, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestFoldingAReplayGivesTheAnswerBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		completion := genCompletion().Draw(t, "answer")
		answer := encode(t, completion)
		stream := replayed(t, answer, true)
		if again := dialecttest.Folded(t, &Codec, stream); !dialecttest.Same(t, answer, again) {
			t.Fatalf("%s\nbecame %s\nby way of %s", answer, again, stream)
		}
		again := dialecttest.Folded(t, &Codec, replayed(t, answer, false))
		delete(completion, "usage")
		if !dialecttest.Same(t, encode(t, completion), again) {
			t.Fatalf("without usage, %s\nbecame %s", answer, again)
		}
	})
}

func TestReplayGivesOneUsageEventWhereItIsWanted(t *testing.T) {
	answer := []byte(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`)
	head := `data: {"object":"chat.completion.chunk","id":"c","created":1,"model":"m","choices":[`
	want := head + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}` + "\n\n" +
		head + `{"index":0,"delta":{"content":"hi"},"finish_reason":null}],"usage":null}` + "\n\n" +
		head + `{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n" +
		head + `],"usage":{"prompt_tokens":1}}` + "\n\n" +
		"data: [DONE]\n\n"
	if got := string(replayed(t, answer, true)); got != want {
		t.Errorf("with usage:\n%s\nwant\n%s", got, want)
	}
	want = strings.ReplaceAll(strings.Replace(want, head+`],"usage":{"prompt_tokens":1}}`+"\n\n", "", 1), `,"usage":null`, "")
	if got := string(replayed(t, answer, false)); got != want {
		t.Errorf("without usage:\n%s\nwant\n%s", got, want)
	}
}

func BenchmarkReplay(b *testing.B) {
	answer := []byte(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", 400) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Replay(answer, true, func([]byte) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}
