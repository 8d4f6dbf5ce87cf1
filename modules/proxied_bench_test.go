package modules_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// wire is a provider that costs no allocation: it reads requests from kept connections and answers each with the bytes that its
// path has.
type wire struct {
	answers map[string][]byte // by path
	streams map[string][]byte // by path, for a request that asks for a stream
}

// listen serves until the benchmark ends, and returns the address.
func (u *wire) listen(b *testing.B) string {
	b.Helper()
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go u.serve(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

func (u *wire) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		path, _, _ := bytes.Cut(line[len("POST "):], []byte(" "))
		whole, streamed := u.answers[string(path)], u.streams[string(path)]
		length := 0
		for len(line) > len("\r\n") {
			if line, err = in.ReadSlice('\n'); err != nil {
				return
			}
			if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
					return
				}
			}
		}
		body, err := in.Peek(length)
		if err != nil {
			return
		}
		answer := whole
		if bytes.Contains(body, []byte(`"stream":true`)) {
			answer = streamed
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// head writes an answer as HTTP has it.
func head(kind, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nDate: Thu, 01 Oct 2026 08:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
}

// BenchmarkProxied is a whole call as BenchmarkChain has it, whose answer comes from a provider over a real connection: what the way
// to a provider and back costs, net/http's client included.
func BenchmarkProxied(b *testing.B) {
	const words = 20
	prose := strings.Repeat("What the state of the project is I can tell you in a few sentences. ", 10)
	chunk := func(delta, finish, rest string) string {
		return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"m","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":` + finish + `}]` + rest + "}\n\n"
	}
	message := func(typ, rest string) string {
		return "event: " + typ + "\ndata: {\"type\":\"" + typ + `"` + rest + "}\n\n"
	}
	provider := &wire{
		answers: map[string][]byte{
			"/v1/chat/completions": head("application/json", `{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"`+prose+`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":140,"total_tokens":340}}`),
			"/v1/messages":         head("application/json", `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"`+prose+`"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":200,"output_tokens":140}}`),
		},
		streams: map[string][]byte{
			"/v1/chat/completions": head("text/event-stream", chunk(`"role":"assistant","content":""`, "null", "")+
				strings.Repeat(chunk(`"content":" some words of it"`, "null", ""), words)+
				chunk("", `"stop"`, `,"usage":{"prompt_tokens":200,"completion_tokens":140,"total_tokens":340}`)+"data: [DONE]\n\n"),
			"/v1/messages": head("text/event-stream", message("message_start", `,"message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":200,"output_tokens":1}}`)+
				message("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)+
				strings.Repeat(message("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":" some words of it"}`), words)+
				message("content_block_stop", `,"index":0`)+
				message("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":140}`)+
				message("message_stop", "")),
		},
	}
	address := provider.listen(b)
	server, key := chain(b, `provider openai {
			base_url `+address+`/v1
		}
		provider anthropic {
			base_url `+address+`
		}
		model pass {
			target openai/m
		}
		model cross {
			target anthropic/m
		}`)
	question := strings.Repeat("Please tell me in a few sentences what the state of the project is. ", 14)
	number := 0
	for _, work := range []struct{ name, said, cache string }{
		{"whole", `"model":"pass"`, "BYPASS"},
		{"stream", `"model":"pass","stream":true`, "BYPASS"},
		{"kept", `"model":"pass","temperature":0`, "MISS"},
		{"kept_stream", `"model":"pass","temperature":0,"stream":true`, "MISS"},
		{"translated", `"model":"cross"`, "BYPASS"},
		{"translated_stream", `"model":"cross","stream":true`, "BYPASS"},
	} {
		b.Run(work.name, func(b *testing.B) {
			ask := asking(b, server, "/v1/chat/completions", key)
			var body []byte
			once := func() *writer {
				number++ // so that no call finds the answer of another
				body = fmt.Appendf(body[:0], `{%s,"messages":[{"role":"user","content":"%09d %s"}]}`, work.said, number, question)
				return ask(body)
			}
			if w := once(); w.status != http.StatusOK || w.header.Get("X-Cache") != work.cache || w.size < 700 {
				b.Fatalf("answered with %d, X-Cache %q, %d bytes", w.status, w.header.Get("X-Cache"), w.size)
			}
			b.ReportAllocs()
			for b.Loop() {
				if w := once(); w.status != http.StatusOK {
					b.Fatalf("answered with %d", w.status)
				}
			}
		})
	}
}
