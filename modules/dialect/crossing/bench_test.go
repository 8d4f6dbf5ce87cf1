package crossing

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
	"github.com/caddy-llm/caddy-llm/modules/sse"
)

var sizes = []struct {
	name string
	size int
}{{"1kB", 1 << 10}, {"100kB", 100 << 10}, {"5MB", 5 << 20}}

type benchPair struct{ from, to *dialect.Codec }

var benchPairs = []benchPair{
	{&openai.Codec, &anthropic.Codec}, {&anthropic.Codec, &openai.Codec}, {&openai.Codec, &gemini.Codec}, {&gemini.Codec, &openai.Codec},
}

// BenchmarkRequest translates a chat with an image into a provider's dialect, into a buffer that is there.
func BenchmarkRequest(b *testing.B) {
	bodies := map[dialect.Name]func(size int) string{
		dialect.OpenAI: func(size int) string {
			return `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` +
				strings.Repeat("QUJD", size/4) + `"}}]}],"temperature":0.5,"max_tokens":100}`
		},
		dialect.Anthropic: func(size int) string {
			return `{"model":"m","system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` +
				strings.Repeat("QUJD", size/4) + `"}}]}],"temperature":0.5,"max_tokens":100}`
		},
		dialect.Responses: func(size int) string {
			return `{"model":"m","instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"What is this?"},{"type":"input_image","image_url":"data:image/png;base64,` +
				strings.Repeat("QUJD", size/4) + `"}]}],"temperature":0.5,"max_output_tokens":100}`
		},
		dialect.Gemini: func(size int) string {
			return `{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"What is this?"},{"inlineData":{"mimeType":"image/png","data":"` +
				strings.Repeat("QUJD", size/4) + `"}}]}],"generationConfig":{"temperature":0.5,"maxOutputTokens":100}}`
		},
	}
	for _, pair := range append(slices.Clip(benchPairs), benchPair{&responses.Codec, &anthropic.Codec}) {
		name := fmt.Sprintf("%s-%s", pair.from.Name, pair.to.Name)
		for _, s := range sizes {
			b.Run(name+"/"+s.name, func(b *testing.B) {
				body := []byte(bodies[pair.from.Name](s.size))
				dst := make([]byte, 0, len(body)+1024)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r, fault := pair.from.DecodeRequest(body)
					if fault != nil {
						b.Fatal(fault)
					}
					if _, _, fault = pair.to.EncodeRequest(dst, r, dialect.Policy{}); fault != nil {
						b.Fatal(fault)
					}
				}
			})
		}
	}
}

// BenchmarkAnswer translates a whole answer of text for a client, its validation included.
func BenchmarkAnswer(b *testing.B) {
	for _, pair := range []struct {
		from, to *dialect.Codec
		body     string
	}{
		{&openai.Codec, &anthropic.Codec, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`},
		{&anthropic.Codec, &openai.Codec, `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`},
		{&gemini.Codec, &openai.Codec, `{"candidates":[{"content":{"parts":[{"text":"%s"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1},"modelVersion":"m","responseId":"r"}`},
		{&openai.Codec, &gemini.Codec, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`},
	} {
		for _, s := range sizes {
			b.Run(fmt.Sprintf("%s-%s/%s", pair.from.Name, pair.to.Name, s.name), func(b *testing.B) {
				body := fmt.Appendf(nil, pair.body, strings.Repeat(`some \"words\" of a text, `, s.size/25))
				dst := make([]byte, 0, len(body)+1024)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					a, fault := pair.from.DecodeAnswer(body)
					if fault != nil {
						b.Fatal(fault)
					}
					if _, fault = pair.to.EncodeAnswer(dst, a); fault != nil {
						b.Fatal(fault)
					}
				}
			})
		}
	}
}

// BenchmarkFragment translates one fragment of a stream.
func BenchmarkFragment(b *testing.B) {
	for _, pair := range append(slices.Clip(benchPairs), benchPair{&anthropic.Codec, &responses.Codec}) {
		b.Run(fmt.Sprintf("%s-%s", pair.from.Name, pair.to.Name), func(b *testing.B) {
			stream, err := os.ReadFile("testdata/" + string(pair.from.Name) + "/text.stream.sse")
			if err != nil {
				b.Fatal(err)
			}
			decoder, encoder := pair.from.NewDecoder(), pair.to.NewEncoder(dialect.StreamOptions{})
			dst := make([]byte, 0, 4096)
			give := func(e *dialect.Event) { encoder.Encode(dst, e) }
			var fragment []byte
			scanner := sse.NewScanner(bytes.NewReader(stream), 1<<16)
			for scanner.Next() && fragment == nil {
				if err := decoder.Decode(scanner.Data(), give); err != nil {
					b.Fatal(err)
				}
				if bytes.Contains(scanner.Data(), []byte("wörld")) {
					fragment = bytes.Clone(scanner.Data())
				}
			}
			b.SetBytes(int64(len(fragment)))
			b.ReportAllocs()
			for b.Loop() {
				if err := decoder.Decode(fragment, give); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
