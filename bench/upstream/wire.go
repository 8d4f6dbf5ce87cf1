package upstream

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// prose is what models say here. It holds nothing that JSON would escape.
const prose = "The gateway stands between clients and the providers of models. It knows who is asking, whether they may, and what they " +
	"have left of their limits; it answers what it has answered before from its memory, asks the provider for the rest, and passes " +
	"on what comes as it comes. What it costs is the time of a processor, which could serve others meanwhile, and so this text is " +
	"what a benchmark has it pass on: long enough to be an answer, short enough that what is measured is not the copying of it. " +
	"A real answer has about as many words, and a real model takes a thousand times as long to find them. Whoever reads this far in " +
	"the traffic of a benchmark is welcome to the rest of it, which says nothing more than the number of its bytes."

// Completion is a whole chat completion of about 1 kB.
var Completion = completion(prose[:690])

// Message is the same answer as Anthropic writes it.
var Message = fmt.Appendf(nil, `{"id":"msg_bench0123456789","type":"message","role":"assistant","model":"%s","content":[{"type":"text","text":"%s"}],`+
	`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":212,"output_tokens":140}}`, ClaudeModel, prose[:690])

var analysis = completion(`{\"intent\":\"analysis\",\"subject\":\"` + prose[:530] + `\",\"entities\":{\"names\":[\"gateway\",\"provider\"]},` +
	`\"output_format\":\"json\",\"original_language\":\"en\",\"confidence_score\":0.93}`)

var models = fmt.Appendf(nil, `{"object":"list","data":[{"id":"%s","object":"model","created":1760000000,"owned_by":"bench"}]}`, Model)

// completion wraps a text that is written as JSON has it.
func completion(content string) []byte {
	return fmt.Appendf(nil, `{"id":"chatcmpl-bench0123456789","object":"chat.completion","created":1760000000,"model":"%s",`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":212,"completion_tokens":140,"total_tokens":352}}`, Model, content)
}

// openAIStream has Events fragments of text, then what ends a stream with the usage that was asked for.
var openAIStream = func() [][]byte {
	chunk := func(choices, usage string) []byte {
		return fmt.Appendf(nil, `data: {"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1760000000,"model":"%s","choices":[%s]%s}`+"\n\n",
			Model, choices, usage)
	}
	var events [][]byte
	for _, part := range parts() {
		events = append(events, chunk(`{"index":0,"delta":{"content":`+strconv.Quote(part)+`},"finish_reason":null}`, ""))
	}
	events[0] = bytes.Replace(events[0], []byte(`"delta":{`), []byte(`"delta":{"role":"assistant",`), 1)
	end := together(chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`, ""),
		chunk("", `,"usage":{"prompt_tokens":212,"completion_tokens":20,"total_tokens":232}`), []byte("data: [DONE]\n\n"))
	return append(events, end)
}()

// anthropicStream is the same in Anthropic's events.
var anthropicStream = func() [][]byte {
	event := func(name, data string) []byte { return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data) }
	begin := together(event("message_start", `{"type":"message_start","message":{"id":"msg_bench0123456789","type":"message","role":"assistant","model":"`+ClaudeModel+
		`","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":212,"output_tokens":1}}}`),
		event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`))
	var events [][]byte
	for _, part := range parts() {
		events = append(events, event("content_block_delta",
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+strconv.Quote(part)+`}}`))
	}
	events[0] = together(begin, events[0])
	return append(events, together(event("content_block_stop", `{"type":"content_block_stop","index":0}`),
		event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20}}`),
		event("message_stop", `{"type":"message_stop"}`)))
}()

// parts are the first words of the prose, each with the space before it.
func parts() []string {
	words := strings.Fields(prose)[:Events]
	for i := range words[1:] {
		words[i+1] = " " + words[i+1]
	}
	return words
}

func together(events ...[]byte) []byte { return bytes.Join(events, nil) }
