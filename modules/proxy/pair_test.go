package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/anthropic"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/gemini"
	_ "github.com/caddy-llm/caddy-llm/modules/providers/openai"
)

// said is what an answer says, in whichever dialect. A stream that broke has no reason.
type said struct {
	text, tool, arguments, reason string
	input, output                 int64
	broken                        bool
}

var (
	saysText = said{text: "pong ünd ☃", reason: "stop", input: 7, output: 5}
	saysTool = said{tool: "weather", arguments: `{"city":"Bern"}`, reason: "tool", input: 7, output: 5}
)

// speaker is one dialect: how its clients ask and read, and how its servers answer.
type speaker struct {
	path       func(model string, stream bool) string
	body       func(model, prompt string, stream bool) string
	readWhole  func(body gjson.Result) said
	readEvents func(events []gjson.Result) said
	errorAt    string // in an error's body: the word for an overload

	whole  map[string]string   // by prompt
	events map[string][]string // by prompt, with what a stream ends in
	ending string
	failed string // an error's body
	status int
}

const (
	weatherSchema = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`
	overloaded    = "no room"
)

var speakers = map[dialect.Name]speaker{
	dialect.OpenAI: {
		path: func(string, bool) string { return "/v1/chat/completions" },
		body: func(model, prompt string, stream bool) string {
			return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}],"stream":%t,"stream_options":{"include_usage":%t},
				"tools":[{"type":"function","function":{"name":"weather","parameters":%s}}]}`, model, prompt, stream, stream, weatherSchema)
		},
		readWhole: func(b gjson.Result) said {
			c := b.Get("choices.0")
			return said{c.Get("message.content").Str, c.Get("message.tool_calls.0.function.name").Str, c.Get("message.tool_calls.0.function.arguments").Str,
				map[string]string{"stop": "stop", "tool_calls": "tool"}[c.Get("finish_reason").Str], b.Get("usage.prompt_tokens").Int(), b.Get("usage.completion_tokens").Int(), false}
		},
		readEvents: func(events []gjson.Result) (s said) {
			for _, e := range events {
				c := e.Get("choices.0")
				s.text += c.Get("delta.content").Str
				s.tool += c.Get("delta.tool_calls.0.function.name").Str
				s.arguments += c.Get("delta.tool_calls.0.function.arguments").Str
				s.reason += map[string]string{"stop": "stop", "tool_calls": "tool"}[c.Get("finish_reason").Str]
				s.input, s.output = max(s.input, e.Get("usage.prompt_tokens").Int()), max(s.output, e.Get("usage.completion_tokens").Int())
				s.broken = s.broken || e.Get("error").Exists()
			}
			return s
		},
		errorAt: "error.message",
		whole: map[string]string{
			"text": `{"id":"1","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"pong \u00fcnd ☃"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
			"tool": `{"id":"1","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
		},
		events: map[string][]string{
			"text": {
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"pong \u00fc"},"finish_reason":null}]}`,
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"nd ☃"},"finish_reason":null}]}`,
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
				`{"id":"1","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
			},
			"tool": {
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]}`,
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}]}`,
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Bern\"}"}}]},"finish_reason":null}]}`,
				`{"id":"1","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
				`{"id":"1","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
			},
		},
		ending: "data: [DONE]\n\n",
		failed: `{"error":{"message":"` + overloaded + `","type":"server_error","code":null}}`, status: 400,
	},
	dialect.Anthropic: {
		path: func(string, bool) string { return "/v1/messages" },
		body: func(model, prompt string, stream bool) string {
			return fmt.Sprintf(`{"model":%q,"max_tokens":99,"messages":[{"role":"user","content":%q}],"stream":%t,"tools":[{"name":"weather","input_schema":%s}]}`, model, prompt, stream, weatherSchema)
		},
		readWhole: func(b gjson.Result) said {
			return said{b.Get("content.0.text").Str, b.Get("content.0.name").Str, b.Get("content.0.input").Raw,
				map[string]string{"end_turn": "stop", "tool_use": "tool"}[b.Get("stop_reason").Str], b.Get("usage.input_tokens").Int(), b.Get("usage.output_tokens").Int(), false}
		},
		readEvents: func(events []gjson.Result) (s said) {
			for _, e := range events {
				s.text += e.Get("delta.text").Str
				s.tool += e.Get("content_block.name").Str
				s.arguments += e.Get("delta.partial_json").Str
				s.reason += map[string]string{"end_turn": "stop", "tool_use": "tool"}[e.Get("delta.stop_reason").Str]
				s.input = max(s.input, e.Get("message.usage.input_tokens").Int(), e.Get("usage.input_tokens").Int())
				s.output = max(s.output, e.Get("usage.output_tokens").Int())
				s.broken = s.broken || e.Get("type").Str == "error"
			}
			return s
		},
		errorAt: "error.message",
		whole: map[string]string{
			"text": `{"id":"1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"pong ünd ☃"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}`,
			"tool": `{"id":"1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"c1","name":"weather","input":{"city":"Bern"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}`,
		},
		events: map[string][]string{
			"text": {
				`{"type":"message_start","message":{"id":"1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}`,
				`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pong ü"}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"nd ☃"}}`,
				`{"type":"content_block_stop","index":0}`,
				`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}`,
			},
			"tool": {
				`{"type":"message_start","message":{"id":"1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}`,
				`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c1","name":"weather","input":{}}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"Bern\"}"}}`,
				`{"type":"content_block_stop","index":0}`,
				`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}`,
			},
		},
		ending: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		failed: `{"type":"error","error":{"type":"invalid_request_error","message":"` + overloaded + `"}}`, status: 400,
	},
	dialect.Gemini: {
		path: func(model string, stream bool) string {
			if stream {
				return "/v1beta/models/" + model + ":streamGenerateContent?alt=sse"
			}
			return "/v1beta/models/" + model + ":generateContent"
		},
		body: func(_, prompt string, _ bool) string {
			return fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%q}]}],"tools":[{"functionDeclarations":[{"name":"weather","parametersJsonSchema":%s}]}]}`, prompt, weatherSchema)
		},
		readWhole: func(b gjson.Result) (s said) {
			c := b.Get("candidates.0")
			call := c.Get("content.parts.0.functionCall")
			s = said{c.Get("content.parts.0.text").Str, call.Get("name").Str, call.Get("args").Raw, map[string]string{"STOP": "stop"}[c.Get("finishReason").Str],
				b.Get("usageMetadata.promptTokenCount").Int(), b.Get("usageMetadata.candidatesTokenCount").Int(), false}
			if s.tool != "" && s.reason == "stop" { // which this dialect does not tell apart
				s.reason = "tool"
			}
			return s
		},
		readEvents: func(events []gjson.Result) (s said) {
			for _, e := range events {
				c := e.Get("candidates.0")
				for _, part := range c.Get("content.parts").Array() {
					s.text += part.Get("text").Str
					s.tool += part.Get("functionCall.name").Str
					s.arguments += part.Get("functionCall.args").Raw
				}
				if c.Get("finishReason").Str == "STOP" {
					if s.reason = "stop"; s.tool != "" {
						s.reason = "tool"
					}
				}
				s.input, s.output = max(s.input, e.Get("usageMetadata.promptTokenCount").Int()), max(s.output, e.Get("usageMetadata.candidatesTokenCount").Int())
				s.broken = s.broken || e.Get("error").Exists()
			}
			return s
		},
		errorAt: "error.message",
		whole: map[string]string{
			"text": `{"candidates":[{"content":{"parts":[{"text":"pong ünd ☃"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5},"modelVersion":"m","responseId":"1"}`,
			"tool": `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"weather","args":{"city":"Bern"}}}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5},"modelVersion":"m","responseId":"1"}`,
		},
		events: map[string][]string{
			"text": {
				`{"candidates":[{"content":{"parts":[{"text":"pong ü"}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"1"}`,
				`{"candidates":[{"content":{"parts":[{"text":"nd ☃"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5},"modelVersion":"m","responseId":"1"}`,
			},
			"tool": {
				`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"weather","args":{"city":"Bern"}}}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"1"}`,
				`{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5},"modelVersion":"m","responseId":"1"}`,
			},
		},
		failed: `{"error":{"code":400,"message":"` + overloaded + `","status":"INVALID_ARGUMENT"}}`, status: 400,
	},
}

// upstreamOf runs a server of a dialect. It does what the prompt says, which it finds in any body.
func upstreamOf(t *testing.T, name dialect.Name) string {
	s := speakers[name]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		streamed := gjson.GetBytes(body, "stream").Bool() || strings.Contains(r.URL.Path, ":stream")
		if want, _, _ := strings.Cut(s.path("m", streamed), "?"); r.URL.Path != want {
			http.Error(w, r.URL.Path, http.StatusNotFound)
			return
		}
		prompt := ""
		for _, p := range []string{"text", "tool", "refuse", "break", "cut"} {
			if strings.Contains(string(body), `"do `+p+`"`) {
				prompt = p
			}
		}
		switch {
		case prompt == "refuse":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(s.status)
			io.WriteString(w, s.failed) //nolint:errcheck // the gateway may be gone
		case !streamed:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, s.whole[prompt]) //nolint:errcheck
		default:
			w.Header().Set("Content-Type", "text/event-stream")
			events, ending := s.events[prompt], s.ending
			if prompt == "break" || prompt == "cut" {
				events, ending = s.events["text"][:len(s.events["text"])/2], ""
			}
			for _, data := range events {
				fmt.Fprintf(w, "data: %s\n\n", data)
			}
			if io.WriteString(w, ending); prompt == "break" { //nolint:errcheck
				fmt.Fprintf(w, "data: %s\n\n", s.failed)
			}
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// eventsOf reads the events of a stream, and checks that they are well-formed.
func eventsOf(t *testing.T, stream string) (events []gjson.Result, done bool) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		_, data, ok := strings.Cut(event, "data: ")
		if done = data == "[DONE]"; done {
			continue
		}
		if !ok || !json.Valid([]byte(data)) {
			t.Errorf("an event is %q", event)
		}
		events = append(events, gjson.Parse(data))
	}
	return events, done
}

func TestEachClientIsAnsweredByEachProvider(t *testing.T) {
	var providers []string
	for name := range speakers {
		base := upstreamOf(t, name)
		if name == dialect.OpenAI {
			base += "/v1"
		}
		providers = append(providers, fmt.Sprintf(`{"name":%q,"provider":{"module":%q,"base_url":[%q],"models":["m"]}}`, name, name, base))
	}
	p := handlerWith(t, `"providers":[`+strings.Join(providers, ",")+`]`, `{}`)
	for from, client := range speakers {
		for to := range speakers {
			model := string(to) + "/m"
			call := func(prompt string, stream bool) (*httptest.ResponseRecorder, *gateway.Call) {
				return serve(t, p, http.MethodPost, client.path(model, stream), client.body(model, "do "+prompt, stream), nil)
			}
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				for prompt, want := range map[string]said{"text": saysText, "tool": saysTool} {
					w, c := call(prompt, false)
					if got := client.readWhole(gjson.Parse(w.Body.String())); w.Code != 200 || got != want {
						t.Errorf("%s: %d, %+v in %s", prompt, w.Code, got, w.Body)
					}
					if c.Usage.InputTotal() != want.input || c.Usage.OutputTotal() != want.output || c.Provider != string(to) {
						t.Errorf("%s: the call is %+v", prompt, c)
					}
					w, c = call(prompt, true)
					events, done := eventsOf(t, w.Body.String())
					if got := client.readEvents(events); w.Code != 200 || got != want || done != (from == dialect.OpenAI) {
						t.Errorf("%s in events: %d, %+v in %s", prompt, w.Code, got, w.Body)
					}
					if c.Usage.InputTotal() != want.input || c.Usage.OutputTotal() != want.output || c.Err != nil {
						t.Errorf("%s in events: the call is %+v", prompt, c)
					}
				}
				for _, stream := range []bool{false, true} {
					w, _ := call("refuse", stream)
					if got := gjson.Get(w.Body.String(), client.errorAt).Str; w.Code != 400 || got != overloaded || w.Header().Get("Content-Type") != "application/json" {
						t.Errorf("a refusal, streamed %t: %d %s", stream, w.Code, w.Body)
					}
				}
				for _, prompt := range []string{"break", "cut"} {
					w, c := call(prompt, true)
					events, done := eventsOf(t, w.Body.String())
					got := client.readEvents(events)
					if w.Code != 200 || !strings.HasPrefix(saysText.text, got.text) || got.text == "" && to == dialect.Gemini || got.reason != "" || !got.broken || done || c.Err == nil {
						t.Errorf("%s: %d, %+v in %s", prompt, w.Code, got, w.Body)
					}
				}
			})
		}
	}
}
