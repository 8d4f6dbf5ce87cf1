package providertest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// prompt is what the provider is asked.
const prompt = "Name three rivers, please."

// wire is how a dialect asks and answers.
type wire struct {
	// body asks for a chat answer.
	body func(model string, stream, usage bool) string
	// text is what a whole answer says.
	text func(answer gjson.Result) string
	// delta is what one event of a stream adds to the text.
	delta func(event gjson.Result) string
	// usage reads the token counts of an answer or event; ok is false where it has none.
	usage func(message gjson.Result) (input, output int64, ok bool)
	// asked says that a stream has usage only where that was asked for.
	asked bool
}

var wires = map[dialect.Name]wire{
	dialect.OpenAI: {
		body: func(model string, stream, usage bool) string {
			options := ""
			if usage {
				options = `,"stream_options":{"include_usage":true}`
			}
			return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}],"stream":%t%s}`, model, prompt, stream, options)
		},
		text:  func(answer gjson.Result) string { return answer.Get("choices.0.message.content").Str },
		delta: func(event gjson.Result) string { return event.Get("choices.0.delta.content").Str },
		usage: func(message gjson.Result) (input, output int64, ok bool) {
			u := message.Get("usage")
			return u.Get("prompt_tokens").Int(), u.Get("completion_tokens").Int(), u.IsObject()
		},
		asked: true,
	},
	dialect.Anthropic: {
		body: func(model string, stream, _ bool) string {
			return fmt.Sprintf(`{"model":%q,"max_tokens":512,"messages":[{"role":"user","content":%q}],"stream":%t}`, model, prompt, stream)
		},
		text: func(answer gjson.Result) string { return joined(answer.Get("content.#.text")) },
		delta: func(event gjson.Result) string {
			if event.Get("type").Str != "content_block_delta" {
				return ""
			}
			return event.Get("delta.text").Str
		},
		usage: func(message gjson.Result) (input, output int64, ok bool) {
			u := message.Get("usage")
			input = u.Get("input_tokens").Int() + u.Get("cache_read_input_tokens").Int() + u.Get("cache_creation_input_tokens").Int()
			return input, u.Get("output_tokens").Int(), u.IsObject()
		},
	},
	dialect.Gemini: {
		body: func(string, bool, bool) string {
			return fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%q}]}]}`, prompt)
		},
		text:  func(answer gjson.Result) string { return joined(answer.Get("candidates.0.content.parts.#.text")) },
		delta: func(event gjson.Result) string { return joined(event.Get("candidates.0.content.parts.#.text")) },
		usage: func(message gjson.Result) (input, output int64, ok bool) {
			u := message.Get("usageMetadata")
			input = u.Get("promptTokenCount").Int() + u.Get("toolUsePromptTokenCount").Int()
			return input, u.Get("candidatesTokenCount").Int() + u.Get("thoughtsTokenCount").Int(), u.IsObject()
		},
	},
}

func joined(texts gjson.Result) string {
	var all string
	for _, text := range texts.Array() {
		all += text.Str
	}
	return all
}

func wireOf(t *testing.T, p gateway.Provider) wire {
	t.Helper()
	w, ok := wires[p.Dialect()]
	if !ok {
		t.Fatalf("the provider's dialect %q is not one that providers may have", p.Dialect())
	}
	return w
}

// chat is an attempt at the provider's first model.
func chat(t *testing.T, p gateway.Provider, stream, usage bool) *gateway.Attempt {
	t.Helper()
	models, err := p.Models(t.Context())
	if err != nil || len(models) == 0 {
		t.Fatalf("Models gave %d models and error %v, want at least one", len(models), err)
	}
	return chatWith(t, p, models[0].ID, stream, usage)
}

func chatWith(t *testing.T, p gateway.Provider, model string, stream, usage bool) *gateway.Attempt {
	t.Helper()
	return &gateway.Attempt{
		Operation: dialect.Chat,
		Model:     model,
		Body:      []byte(wireOf(t, p).body(model, stream, usage)),
		Stream:    stream,
		WantUsage: usage,
		RequestID: "req_providertest",
	}
}

// transcript is all of a stream.
type transcript struct {
	text   string
	events int
	usages []int // the numbers of the events that carry usage
	usage  dialect.Usage
}

// read reads a stream to its end and checks each event's form.
func (w wire) read(s gateway.Stream) (tr transcript, err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	last := -1
	for ; s.Next(); tr.events++ {
		data, err := eventData(s.Event())
		if err != nil {
			return tr, fmt.Errorf("event %d: %w", tr.events, err)
		}
		if !bytes.Equal(data, s.Data()) {
			return tr, fmt.Errorf("event %d: Data is %q, but the event holds %q", tr.events, s.Data(), data)
		}
		if last >= 0 {
			return tr, fmt.Errorf("event %d comes after the last one: %q", tr.events, data)
		}
		if s.Last() {
			last = tr.events
		}
		if string(data) == "[DONE]" {
			if !s.Last() {
				return tr, errors.New("[DONE] is not said to be the last event")
			}
			continue
		}
		if !gjson.ValidBytes(data) {
			return tr, fmt.Errorf("event %d is no JSON: %q", tr.events, data)
		}
		event := gjson.ParseBytes(data)
		tr.text += w.delta(event)
		if _, _, ok := w.usage(event); ok {
			tr.usages = append(tr.usages, tr.events)
		}
	}
	if err := s.Err(); err != nil {
		return tr, fmt.Errorf("the stream failed after %d events: %w", tr.events, err)
	}
	if last < 0 {
		return tr, fmt.Errorf("none of %d events was the last one", tr.events)
	}
	tr.usage = s.Usage()
	return tr, nil
}

// eventData takes the data out of a server-sent event in wire form.
func eventData(event []byte) ([]byte, error) {
	body, ok := bytes.CutSuffix(event, []byte("\n\n"))
	if !ok || bytes.Contains(body, []byte("\n\n")) {
		return nil, fmt.Errorf("an event ends in one blank line, not so %q", event)
	}
	var data [][]byte
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) == "data" {
			data = append(data, bytes.TrimPrefix(value, []byte(" ")))
		}
	}
	if data == nil {
		return nil, fmt.Errorf("an event needs data, not so %q", event)
	}
	return bytes.Join(data, []byte("\n")), nil
}
