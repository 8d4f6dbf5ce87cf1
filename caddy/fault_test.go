package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// spoken is a dialect as an upstream speaks it, and as its clients do.
type spoken struct {
	provider string // the module
	base     string // what follows the upstream's address
	path     string // of the client's surface, with a verb where the model is in it
	pathOnce string // the same, for answers that are not streamed; "" where it is path
	ask      string // a streamed call, with a verb for the model
	once     string // the same, not streamed

	head, text, tail []string // the events of a stream, each without its blank line
	whole            string   // the same answer at once
	end              string   // is in a stream that is complete, and in no other
	failed           string   // is in a stream that is broken
	failure          string   // an event that tells of an error
	refusal          string   // the body of one
	read             func(data string) string
}

var dialects = map[string]spoken{
	"openai": {
		provider: "openai", base: "/v1", path: "/v1/chat/completions",
		ask:  `{"model":%q,"stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		once: `{"model":%q,"messages":[{"role":"user","content":"hi"}]}`,
		head: []string{`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`},
		text: []string{
			`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}`,
			`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"two"},"finish_reason":null}]}`,
		},
		tail: []string{
			`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			`data: [DONE]`,
		},
		whole: `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one two"},"finish_reason":"stop"}]}`,
		end:   "[DONE]", failed: `data: {"error":`,
		failure: `data: {"error":{"message":"overloaded","type":"server_error"}}`,
		refusal: `{"error":{"message":"refused","type":"t","code":"c"}}`,
		read:    func(data string) string { return gjson.Get(data, "choices.0.delta.content").Str },
	},
	"anthropic": {
		provider: "anthropic", path: "/v1/messages",
		ask:  `{"model":%q,"stream":true,"max_tokens":99,"messages":[{"role":"user","content":"hi"}]}`,
		once: `{"model":%q,"max_tokens":99,"messages":[{"role":"user","content":"hi"}]}`,
		head: []string{
			`event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
			`event: content_block_start` + "\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		},
		text: []string{
			`event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one "}}`,
			`event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"two"}}`,
		},
		tail: []string{
			`event: content_block_stop` + "\n" + `data: {"type":"content_block_stop","index":0}`,
			`event: message_delta` + "\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
			`event: message_stop` + "\n" + `data: {"type":"message_stop"}`,
		},
		whole: `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"one two"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`,
		end:   `"message_stop"`, failed: "event: error\n",
		failure: "event: error\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		refusal: `{"type":"error","error":{"type":"t","message":"refused"}}`,
		read:    func(data string) string { return gjson.Get(data, "delta.text").Str },
	},
	"gemini": {
		provider: "gemini", path: "/v1beta/models/%s:streamGenerateContent?alt=sse", pathOnce: "/v1beta/models/%s:generateContent",
		ask:  `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
		once: `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
		text: []string{
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"one "}]},"index":0}],"modelVersion":"m"}`,
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"two"}]},"index":0}],"modelVersion":"m"}`,
		},
		tail:  []string{`data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m"}`},
		whole: `{"candidates":[{"content":{"role":"model","parts":[{"text":"one two"}]},"finishReason":"STOP","index":0}],"modelVersion":"m"}`,
		end:   `"finishReason":"STOP"`, failed: `data: {"error":`,
		failure: `data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}`,
		refusal: `{"error":{"code":1,"message":"refused","status":"S"}}`,
		read:    func(data string) string { return gjson.Get(data, "candidates.0.content.parts.0.text").Str },
	},
}

// modelOf is the model that an upstream is asked for: in the address, or in the body.
func modelOf(r *http.Request, body []byte) string {
	if _, rest, ok := strings.Cut(r.URL.Path, "/models/"); ok {
		model, _, _ := strings.Cut(rest, ":")
		return model
	}
	return gjson.GetBytes(body, "model").Str
}

// streams says whether an upstream is asked for a stream.
func streams(r *http.Request, body []byte) bool {
	return strings.Contains(r.URL.Path, ":stream") || gjson.GetBytes(body, "stream").Bool()
}

// at names the model in an address or a body.
func (s spoken) at(text, model string) string {
	if s.pathOnce != "" {
		return strings.ReplaceAll(text, "%s", model)
	}
	return strings.ReplaceAll(text, "%q", strconv.Quote(model))
}

// begun is the answer in events, but for its end; stream is all of it.
func (s spoken) begun() []string  { return slices.Concat(s.head, s.text) }
func (s spoken) stream() []string { return slices.Concat(s.head, s.text, s.tail) }

// said puts the text of a stream together, as a client reads it.
func (s spoken) said(stream string) string {
	text := ""
	for line := range strings.Lines(strings.TrimPrefix(stream, "\ufeff")) { // as the standard has it
		if data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data: "); ok && gjson.Valid(data) {
			text += s.read(data)
		}
	}
	return text
}

// wire joins events, each with its blank line.
func wire(events ...string) string { return strings.Join(events, "\n\n") + "\n\n" }

// fault is what an upstream does in place of a good answer.
type fault func(w http.ResponseWriter, r *http.Request, s spoken)

// sends answers with a stream of the given bytes, all at once, and then ends it well.
func sends(text func(s spoken) string) fault {
	return func(w http.ResponseWriter, _ *http.Request, s spoken) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, text(s)) //nolint:errcheck // the gateway reads it
	}
}

// answers refuses, or pretends to answer.
func answers(status int, contentType string, body func(s spoken) string) fault {
	return func(w http.ResponseWriter, _ *http.Request, s spoken) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body(s)) //nolint:errcheck // the gateway reads it
	}
}

// begins sends something and then does what is left.
func begins(text func(s spoken) string, then func(r *http.Request)) fault {
	return func(w http.ResponseWriter, r *http.Request, s spoken) {
		begin(w)(text(s))
		then(r)
	}
}

func dies(*http.Request)     { panic(http.ErrAbortHandler) }
func stalls(r *http.Request) { <-r.Context().Done() }

// before are the faults in which no event has come: the fallback answers, whichever dialect.
var before = map[string]fault{
	"the connection breaks":            func(http.ResponseWriter, *http.Request, spoken) { panic(http.ErrAbortHandler) },
	"silence":                          func(_ http.ResponseWriter, r *http.Request, _ spoken) { stalls(r) },
	"a head and silence":               begins(func(spoken) string { return "" }, stalls),
	"comments alone":                   begins(func(spoken) string { return ": working\n\n" }, stalls),
	"a head and an end":                sends(func(spoken) string { return "" }),
	"a head and a broken connection":   begins(func(spoken) string { return "" }, dies),
	"half an event":                    begins(func(s spoken) string { return s.stream()[0][:len(s.stream()[0])/2] }, dies),
	"an error in a 200":                sends(func(s spoken) string { return wire(s.failure) }),
	"a page of a proxy":                answers(502, "text/html", func(spoken) string { return "<html>Bad Gateway</html>" }),
	"a page with 200":                  answers(200, "text/html", func(spoken) string { return "<html>Welcome</html>" }),
	"a bad credential":                 answers(401, "application/json", func(s spoken) string { return s.refusal }),
	"a forbidden model":                answers(403, "application/json", func(s spoken) string { return s.refusal }),
	"a model that is not there":        answers(404, "application/json", func(s spoken) string { return s.refusal }),
	"a limit":                          answers(429, "application/json", func(s spoken) string { return s.refusal }),
	"a failure":                        answers(500, "application/json", func(s spoken) string { return s.refusal }),
	"an outage":                        answers(503, "application/json", func(s spoken) string { return s.refusal }),
	"a redirect":                       answers(302, "text/html", func(spoken) string { return "" }),
	"half an answer":                   answers(200, "application/json", func(s spoken) string { return s.whole[:len(s.whole)/2] }),
	"an event beyond all bounds":       sends(func(spoken) string { return "data: " + strings.Repeat("x", 5<<20) + "\n\n" }),
	"a compressed answer, unasked for": answers(200, "application/json", func(spoken) string { return "\x1f\x8b\x08\x00garbage" }),
}

// midway are the faults in which a part of the answer is there: the client keeps it and is told, and nobody else is asked.
var midway = map[string]fault{
	"the connection breaks": begins(func(s spoken) string { return wire(s.begun()...) }, dies),
	"silence":               begins(func(s spoken) string { return wire(s.begun()...) }, stalls),
	"an end too early":      sends(func(s spoken) string { return wire(s.begun()...) }),
	"an error":              sends(func(s spoken) string { return wire(append(s.begun(), s.failure)...) }),
	"an end within an event": sends(func(s spoken) string {
		return wire(s.begun()...) + s.tail[0][:len(s.tail[0])/2]
	}),
	"an event beyond all bounds": sends(func(s spoken) string {
		return wire(s.begun()...) + "data: " + strings.Repeat("x", 5<<20) + "\n\n"
	}),
}

// harmless are the habits of servers that are no fault: the client reads the same text, to its end.
var harmless = map[string]fault{
	"as it should be":   sends(func(s spoken) string { return wire(s.stream()...) }),
	"CRLF":              sends(func(s spoken) string { return strings.ReplaceAll(wire(s.stream()...), "\n", "\r\n") }),
	"a byte order mark": sends(func(s spoken) string { return "\ufeff" + wire(s.stream()...) }),
	"comments": sends(func(s spoken) string {
		return ": hi\n\n" + strings.ReplaceAll(wire(s.stream()...), "\n\n", "\n\n: hi\n\n")
	}),
	"a malformed event": sends(func(s spoken) string {
		return wire(slices.Concat(s.head, []string{"data: {\"half\":"}, s.text, s.tail)...)
	}),
	"no blank line behind the end": sends(func(s spoken) string { return strings.TrimRight(wire(s.stream()...), "\n") }),
	"byte by byte": func(w http.ResponseWriter, _ *http.Request, s spoken) {
		send := begin(w)
		for i := range wire(s.stream()...) {
			send(wire(s.stream()...)[i : i+1])
		}
	},
	"a line of a mebibyte": sends(func(s spoken) string {
		return strings.Replace(wire(s.stream()...), "one ", "one "+strings.Repeat(" ", 1<<20), 1)
	}),
}

// Cases 1 to 5, 9 to 11 and 13, for each dialect: one gateway, one upstream for each fault and a good one for the rest.
func TestFaultsOfProviders(t *testing.T) {
	all := make(map[string]fault)
	for kind, faults := range map[string]map[string]fault{"before": before, "midway": midway, "harmless": harmless} {
		for name, f := range faults {
			all[slug(kind+" "+name)] = f
		}
	}
	for name, s := range dialects {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return // the gateway went away
				}
				for h, v := range map[string]string{"x-ratelimit-remaining-requests": "7654321", "anthropic-ratelimit-requests-remaining": "7654321", "openai-organization": "operator"} {
					w.Header().Set(h, v) // they tell of the operator's account
				}
				if f, ok := all[modelOf(r, body)]; ok {
					f(w, r, s)
				} else if streams(r, body) {
					sends(func(s spoken) string { return strings.ReplaceAll(wire(s.stream()...), "two", "rescued") })(w, r, s)
				} else {
					answers(200, "application/json", func(s spoken) string { return strings.ReplaceAll(s.whole, "two", "rescued") })(w, r, s)
				}
			}))
			t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
			var config strings.Builder
			fmt.Fprintf(&config, "\t\tprovider up %s {\n\t\t\tbase_url %s\n\t\t\tapi_key {env.UP_KEY}\n\t\t}\n", s.provider, srv.URL+s.base)
			for model := range all {
				fmt.Fprintf(&config, "\t\tmodel %s {\n\t\t\ttarget up/%s\n\t\t\tfallback up/good\n\t\t}\n", model, model)
			}
			p := start(t, site(config.String(), "llm_health\nllm_keys\nllm_auth\nllm_rate_limit\nllm_cache\nllm_proxy {\n\tfirst_token_timeout 300ms\n\tidle_timeout 300ms\n}"), upKey)
			for kind, faults := range map[string]map[string]fault{"before": before, "midway": midway, "harmless": harmless} {
				for name := range faults {
					t.Run(kind+"/"+name, func(t *testing.T) { meets(t, p, s, kind, slug(kind+" "+name)) })
				}
			}
			t.Run("before/a whole answer", func(t *testing.T) {
				for name := range before {
					if name == "half an event" || strings.Contains(name, "comments") || name == "an error in a 200" {
						continue // which only streams have
					}
					got := p.do("POST", s.at(cmp.Or(s.pathOnce, s.path), slug("before "+name)), p.Key, s.at(s.once, slug("before "+name)))
					if got.Status != 200 || !strings.Contains(got.Body, "rescued") || got.Header.Get("X-Llm-Attempts") != "2" {
						t.Errorf("%s: answered is %d %s after %s attempts", name, got.Status, got.Body, got.Header.Get("X-Llm-Attempts"))
					}
				}
			})
		})
	}
}

// meets streams a call whose first target has a fault.
func meets(t *testing.T, p *process, s spoken, kind, model string) {
	t.Helper()
	got := p.do("POST", s.at(s.path, model), p.Key, s.at(s.ask, model))
	text, ended, failed := s.said(got.Body), strings.Contains(got.Body, s.end), strings.Contains(got.Body, s.failed)
	attempts, want := "", "one two"
	if kind == "before" {
		attempts, want = "2", "one rescued"
	}
	if got.Status != 200 || strings.Join(strings.Fields(text), " ") != want || ended != (kind != "midway") || failed == ended || got.Header.Get("X-Llm-Attempts") != attempts {
		t.Errorf("answered is %d after %q attempts, with the text %.200q, ended %t, failed %t: %.500s", got.Status, got.Header.Get("X-Llm-Attempts"), text, ended, failed, got.Body)
	}
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), "7654321") && strings.Contains(strings.ToLower(name), "ratelimit") || strings.EqualFold(name, "openai-organization") {
			t.Errorf("the operator's account is told of: %s: %q", name, values)
		}
	}
}

// slug is a model's name for a fault.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, name)
}

// Where signs of life are sent, an official client is patient, and a fallback is still possible behind them.
func TestSignsOfLifePassEverythingThatStandsBetween(t *testing.T) {
	for name, s := range dialects {
		t.Run(name, func(t *testing.T) {
			signs := make(chan struct{})
			slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the gateway leave
				select {
				case <-signs: // the client has one
				case <-r.Context().Done():
					return
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // a server reads what it is sent
				harmless["as it should be"](w, r, s)
			}))
			t.Cleanup(func() {
				slow.CloseClientConnections()
				slow.Close()
				good.Close()
			})
			config := fmt.Sprintf("\t\tprovider slow %[1]s {\n\t\t\tbase_url %[2]s\n\t\t}\n\t\tprovider good %[1]s {\n\t\t\tbase_url %[3]s\n\t\t}\n\t\tmodel m {\n\t\t\ttarget slow/m\n\t\t\tfallback good/m\n\t\t}",
				s.provider, slow.URL+s.base, good.URL+s.base)
			p := start(t, site(config, "encode\nllm_keys\nllm_auth\nllm_rate_limit\nllm_cache\nllm_proxy {\n\tkeepalive_interval 100ms\n}"))
			resp, err := p.send(t.Context(), "POST", s.at(s.path, "m"), p.Key, s.at(s.ask, "m")) //nolint:bodyclose // it is closed below
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			buf := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, buf); err != nil {
				t.Fatal(err)
			}
			close(signs)
			type rest struct {
				text []byte
				err  error
			}
			read := make(chan rest, 1)
			go func() {
				text, err := io.ReadAll(resp.Body)
				read <- rest{text, err}
			}()
			select {
			case got := <-read:
				if text := string(got.text); got.err != nil || s.said(text) != "one two" || !strings.Contains(text, s.end) || strings.Contains(text, s.failed) {
					t.Errorf("the client has %q, %v", text, got.err)
				}
			case <-time.After(30 * time.Second):
				t.Error("the stream does not end")
			}
		})
	}
}
