package proxy

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

const (
	// mixed has a model at each kind of provider: both at Anthropic's, and mixed at one of each.
	mixed = `"providers":[{"name":"a","provider":{"module":"scripted","list":["x"],"speaks":"anthropic"}},{"name":"b","provider":{"module":"scripted","list":["y"]}},
			{"name":"c","provider":{"module":"scripted","list":["z"],"speaks":"anthropic"}}],
		"models":[{"name":"both","targets":[{"provider":"a","model":"x"}],"fallbacks":[{"provider":"c","model":"z"}]},
			{"name":"mixed","targets":[{"provider":"a","model":"x"}],"fallbacks":[{"provider":"b","model":"y"}]}]`

	messages = `{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"ping"}]}`
	message  = `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"pong"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`
	refused  = `{"type":"error","error":{"type":"invalid_request_error","message":"messages: no"}}`
)

var messageEvents = []string{
	`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"ping"}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"po"}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ng"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`,
	`{"type":"message_stop"}`,
}

// typedEvents is a stream as Anthropic sends it.
type typedEvents struct{ events }

func (s *typedEvents) Event() []byte {
	return append([]byte("event: "+gjson.Get(s.data[s.at-1], "type").Str+"\n"), s.events.Event()...)
}
func (s *typedEvents) Last() bool { return gjson.Get(s.data[s.at-1], "type").Str == "message_stop" }

func replying(reply func() *gateway.Reply) func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
	return func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return reply(), nil }
}

func ask(t testing.TB, p *Proxy, path, body string, prepare func(*gateway.Call)) (*httptest.ResponseRecorder, *gateway.Call) {
	t.Helper()
	return serve(t, p, http.MethodPost, path, body, prepare)
}

func TestAnthropicsClientsAndProvidersGetEachOthersBytes(t *testing.T) {
	p, a, _ := newProxyWith(t, mixed, `{}`)
	odd := `{ "model" : "a/x", "max_tokens":9,"messages":[],"unheard_of":[1e999] }`
	a.send = replying(func() *gateway.Reply { return whole(message + "\n") })
	if w, call := ask(t, p, "/v1/messages", odd, nil); w.Body.String() != message+"\n" || string(a.sent[0].Body) != odd || call.Usage.Total() != 5 {
		t.Errorf("sent %s, answered %d %s", a.sent[0].Body, w.Code, w.Body)
	}
	s := &typedEvents{events{data: messageEvents}}
	a.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: s} })
	want := ""
	for _, data := range messageEvents {
		want += "event: " + gjson.Get(data, "type").Str + "\ndata: " + data + "\n\n"
	}
	var kept *gateway.Answer
	w, _ := ask(t, p, "/v1/messages", strings.Replace(messages, "{", `{"stream":true,`, 1), func(c *gateway.Call) {
		c.Record = recorder(func(answer *gateway.Answer) { kept = answer })
	})
	if w.Body.String() != want {
		t.Errorf("answered is %s", w.Body)
	}
	if kept == nil || gjson.GetBytes(kept.Body, "content.0.text").Str != "pong" || gjson.GetBytes(kept.Body, "stop_reason").Str != "end_turn" {
		t.Errorf("kept is %+v", kept)
	}
}

func TestAnOpenAIClientIsAnsweredByAnthropicsProvider(t *testing.T) {
	p, a, _ := newProxyWith(t, mixed, `{}`)
	a.send = replying(func() *gateway.Reply { return whole(message) })
	w, call := chat(t, p, question, nil)
	sent := gjson.ParseBytes(a.sent[0].Body)
	if sent.Get("max_tokens").Int() == 0 || sent.Get("messages.0.content.0.text").Str+sent.Get("messages.0.content").Str == "" {
		t.Errorf("sent is %s", sent.Raw)
	}
	answer := gjson.Parse(w.Body.String())
	if w.Code != 200 || answer.Get("choices.0.message.content").Str != "pong" || answer.Get("usage.total_tokens").Int() != 5 || answer.Get("created").Int() == 0 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	if call.Usage.Total() != 5 || w.Header().Get("X-Llm-Provider") != "a" {
		t.Errorf("the call is %+v", call)
	}

	a.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: &typedEvents{events{data: messageEvents}}} })
	for _, usage := range []bool{false, true} {
		body := streamed
		if usage {
			body = strings.Replace(body, `"messages"`, `"stream_options":{"include_usage":true},"messages"`, 1)
		}
		w, call := chat(t, p, body, nil)
		text, finish, total, done := readChunks(w.Body.String())
		if text != "pong" || finish != "stop" || !done || (total == 5) != usage {
			t.Errorf("usage %t: answered is %s", usage, w.Body)
		}
		if call.Usage.Total() != 5 || call.Err != nil || a.sent[len(a.sent)-1].WantUsage != usage {
			t.Errorf("the call is %+v", call)
		}
	}
}

// readChunks puts OpenAI's events together.
func readChunks(stream string) (text, finish string, total int64, done bool) {
	for event := range strings.SplitSeq(stream, "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok {
			continue
		}
		done = data == "[DONE]"
		text += gjson.Get(data, "choices.0.delta.content").Str
		finish += gjson.Get(data, "choices.0.finish_reason").Str
		total += gjson.Get(data, "usage.total_tokens").Int()
	}
	return text, finish, total, done
}

func TestAnAnthropicClientIsAnsweredByOpenAIsProvider(t *testing.T) {
	p, _, b := newProxyWith(t, mixed, `{}`)
	body := strings.Replace(messages, `"x"`, `"y"`, 1)
	b.send = replying(func() *gateway.Reply { return whole(answer) })
	w, _ := ask(t, p, "/v1/messages", body, nil)
	if got := gjson.Parse(w.Body.String()); got.Get("content.0.text").Str != "pong" || got.Get("type").Str != "message" || got.Get("stop_reason").Str != "end_turn" {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}

	s := &events{data: []string{first, second, "[DONE]"}}
	b.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: s} })
	var kept *gateway.Answer
	w, call := ask(t, p, "/v1/messages", strings.Replace(body, "{", `{"stream":true,`, 1), func(c *gateway.Call) {
		c.Record = recorder(func(answer *gateway.Answer) { kept = answer })
	})
	var kinds []string
	for event := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
		kind, data, _ := strings.Cut(event, "\n")
		kinds = append(kinds, strings.TrimPrefix(kind, "event: "))
		if got := gjson.Get(strings.TrimPrefix(data, "data: "), "type").Str; "event: "+got != kind {
			t.Errorf("an event is %q", event)
		}
	}
	if got := strings.Join(kinds, " "); got != "message_start content_block_start content_block_delta content_block_stop message_delta message_stop" {
		t.Errorf("the events are %s", got)
	}
	// The gateway asks OpenAI for the usage by itself; the client is told it though it is not among the provider's events.
	if !strings.Contains(w.Body.String(), `"output_tokens":2`) || gjson.GetBytes(b.sent[1].Body, "stream_options").Exists() || b.sent[1].WantUsage {
		t.Errorf("sent is %s, answered is %s", b.sent[1].Body, w.Body)
	}
	if kept == nil || gjson.GetBytes(kept.Body, "content.0.text").Str != "pong" || gjson.GetBytes(kept.Body, "usage.input_tokens").Int() != 3 {
		t.Errorf("kept is %+v", kept)
	}
	if call.Usage.Total() != 5 || call.Err != nil || !s.closed {
		t.Errorf("the call is %+v, closed %t", call, s.closed)
	}
}

func TestARequestIsWrittenOnceForAllAttempts(t *testing.T) {
	p, a, _ := newProxyWith(t, mixed, `{}`)
	up, _ := p.app.Upstream("c")
	c := up.Provider.(*scripted)
	fail := func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
		return nil, &dialect.Error{Kind: dialect.Unavailable, Retryable: true}
	}
	a.send, c.send = fail, replying(func() *gateway.Reply { return whole(message) })
	w, call := chat(t, p, question, nil)
	if w.Code != 200 || call.Attempts != 2 || &a.sent[0].Body[0] != &c.sent[0].Body[0] {
		t.Errorf("answered is %d %s after %d attempts", w.Code, w.Body, call.Attempts)
	}
}

func TestWhatADialectCannotExpress(t *testing.T) {
	seeded := func(model string) string {
		return `{"model":"` + model + `","seed":7,"messages":[{"role":"user","content":"ping"}]}`
	}
	t.Run("is refused by name", func(t *testing.T) {
		p, a, _ := newProxyWith(t, mixed, `{}`)
		w, call := chat(t, p, seeded("both"), nil)
		if w.Code != 400 || gjson.Get(w.Body.String(), "error.param").Str != "seed" || len(a.sent) != 0 || call.Attempts != 0 {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}
	})
	t.Run("goes to a target that can", func(t *testing.T) {
		p, a, b := newProxyWith(t, mixed, `{}`)
		if w, _ := chat(t, p, seeded("mixed"), nil); w.Code != 200 || len(a.sent) != 0 || string(b.sent[0].Body) != seeded("mixed") {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}
	})
	t.Run("is left out where the config says so", func(t *testing.T) {
		p, a, _ := newProxyWith(t, mixed, `{"on_unsupported":"drop"}`)
		a.send = replying(func() *gateway.Reply { return whole(message) })
		if w, _ := chat(t, p, seeded("both"), nil); w.Code != 200 || gjson.GetBytes(a.sent[0].Body, "seed").Exists() {
			t.Errorf("answered is %d %s, sent %s", w.Code, w.Body, a.sent[0].Body)
		}
	})
	t.Run("is an operation too", func(t *testing.T) {
		p, a, _ := newProxyWith(t, mixed, `{}`)
		if w, _ := serve(t, p, http.MethodPost, "/v1/embeddings", `{"model":"x","input":"a"}`, nil); w.Code != 400 || len(a.sent) != 0 {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}
	})
}

func TestErrorsAreInTheCallersShape(t *testing.T) {
	refusal := &dialect.Error{Kind: dialect.InvalidRequest, Status: 400, Message: "messages: no", Body: []byte(refused)}
	p, a, b := newProxyWith(t, mixed, `{}`)
	for _, s := range []*scripted{a, b} {
		s.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return nil, refusal }
	}
	for _, tt := range []struct{ path, body, message, typ string }{
		{"/v1/chat/completions", question, "error.message", "error.type"},
		{"/v1/messages", messages, "error.message", "error.type"},
		{"/v1/messages", strings.Replace(messages, `"x"`, `"y"`, 1), "error.message", "error.type"},
	} {
		w, _ := ask(t, p, tt.path, tt.body, nil)
		got := gjson.Parse(w.Body.String())
		if w.Code != 400 || got.Get("error.message").Str != "messages: no" || (got.Get("type").Str == "error") != (tt.path == "/v1/messages") {
			t.Errorf("%s: %d %s", tt.path, w.Code, w.Body)
		}
	}
	// A provider's own words pass untouched to a client of its dialect, who finds the call's id in the header.
	w, call := ask(t, p, "/v1/messages", messages, nil)
	if w.Body.String() != refused || w.Header().Get("request-id") != call.ID {
		t.Errorf("answered is %s, %v", w.Body, w.Header())
	}
	if w, call = ask(t, p, "/v1/messages", `{"model":"x"}`, nil); w.Code != 400 || gjson.Get(w.Body.String(), "request_id").Str != call.ID {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestAnAnswerThatCannotBeReadIsAFailureOfItsProvider(t *testing.T) {
	p, a, b := newProxyWith(t, mixed, `{}`)
	a.send = replying(func() *gateway.Reply { return whole(`{"type":"weather"}`) })
	w, call := chat(t, p, strings.Replace(question, "both", "mixed", 1), nil)
	if w.Code != 200 || call.Attempts != 2 || len(b.sent) != 1 {
		t.Errorf("answered is %d %s after %d attempts", w.Code, w.Body, call.Attempts)
	}
}

func TestATranslatedStreamThatBreaksSaysSo(t *testing.T) {
	broken := &dialect.Error{Kind: dialect.UpstreamFailed, Message: "it broke off"}
	inside := append(messageEvents[:4:4], `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	p, a, b := newProxyWith(t, mixed, `{}`)
	for name, s := range map[string]*events{
		"by an error":           {data: messageEvents[:4], err: broken},
		"by an event":           {data: inside},
		"by its end":            {data: messageEvents[:4]},
		"by an end too early":   {data: append(messageEvents[:2:2], "{")},
		"where nothing is left": {data: messageEvents[:5], err: broken},
	} {
		a.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: &typedEvents{*s}} })
		w, call := chat(t, p, streamed, nil)
		if _, _, _, done := readChunks(w.Body.String()); done || !strings.Contains(w.Body.String(), `data: {"error":`) || call.Err == nil {
			t.Errorf("%s: answered is %s", name, w.Body)
		}
	}
	b.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: &events{data: []string{first}, err: broken}} })
	w, _ := ask(t, p, "/v1/messages", strings.Replace(messages, `"model":"x"`, `"model":"y","stream":true`, 1), nil)
	if !strings.Contains(w.Body.String(), "event: error\n") || strings.Contains(w.Body.String(), "message_stop") {
		t.Errorf("answered is %s", w.Body)
	}
}

func TestAStreamThatFailsBeforeItsFirstEventIsAnsweredWithItsStatus(t *testing.T) {
	p, _, b := newProxyWith(t, mixed, `{}`)
	silent := `{"id":"","choices":[],"prompt_filter_results":[]}`
	b.send = replying(func() *gateway.Reply {
		return &gateway.Reply{Stream: &events{data: []string{silent}, err: &dialect.Error{Kind: dialect.Timeout, Message: "it fell silent"}}}
	})
	w, _ := ask(t, p, "/v1/messages", strings.Replace(messages, `"model":"x"`, `"model":"y","stream":true`, 1), nil)
	if w.Code != 504 || gjson.Get(w.Body.String(), "error.type").Str != "timeout_error" {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestTokensAreCountedByTheProviderElseEstimated(t *testing.T) {
	p, a, b := newProxyWith(t, mixed, `{}`)
	a.send = replying(func() *gateway.Reply { return &gateway.Reply{Body: []byte(`{"input_tokens":77}`)} })
	body := `{"model":"x","messages":[{"role":"user","content":"` + strings.Repeat("word ", 100) + `"}]}`
	if w, _ := ask(t, p, "/v1/messages/count_tokens", body, nil); w.Body.String() != `{"input_tokens":77}` || a.sent[0].Operation != dialect.CountTokens {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	w, _ := ask(t, p, "/v1/messages/count_tokens", strings.Replace(body, `"x"`, `"y"`, 1), nil)
	if n := gjson.Get(w.Body.String(), "input_tokens").Int(); w.Code != 200 || n < 50 || n > 300 || len(b.sent) != 0 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestModelsInTheShapeOfTheClient(t *testing.T) {
	p, _, _ := newProxyWith(t, mixed, `{}`)
	get := func(path string) gjson.Result {
		w := httptest.NewRecorder()
		r := gatewaytest.Request(w, http.MethodGet, path, nil)
		r.Header.Set("anthropic-version", "2023-06-01")
		if err := p.ServeHTTP(w, r, nil); err != nil {
			t.Fatal(err)
		}
		return gjson.Parse(w.Body.String())
	}
	list := get("/v1/models")
	if list.Get("data.0.type").Str != "model" || list.Get("first_id").Str != "both" || list.Get("last_id").Str != "z" || list.Get("has_more").Raw != "false" {
		t.Errorf("the list is %s", list.Raw)
	}
	if one := get("/v1/models/x"); one.Get("id").Str != "x" || one.Get("created_at").Str == "" {
		t.Errorf("one is %s", one.Raw)
	}
	if none := get("/v1/models/nobody"); none.Get("error.type").Str != "not_found_error" {
		t.Errorf("none is %s", none.Raw)
	}
}

func TestHeadersOfADialectTravelWithinIt(t *testing.T) {
	client := http.Header{"Openai-Beta": {"o"}, "Anthropic-Beta": {"a"}, "Anthropic-Version": {"v"}, "Idempotency-Key": {"i"}, "Authorization": {"secret"}}
	for _, tt := range []struct {
		from, to dialect.Name
		want     string
	}{
		{dialect.OpenAI, dialect.OpenAI, "Idempotency-Key Openai-Beta"},
		{dialect.Anthropic, dialect.Anthropic, "Anthropic-Beta Anthropic-Version Idempotency-Key"},
		{dialect.OpenAI, dialect.Anthropic, "Idempotency-Key"},
	} {
		var b bytes.Buffer
		upstreamHeader(client, tt.from, tt.to).Write(&b) //nolint:errcheck // into memory
		var names []string
		for line := range strings.Lines(b.String()) {
			name, _, _ := strings.Cut(line, ":")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s to %s: %s, want %s", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestUsageThatNobodyToldIsEstimated(t *testing.T) {
	p, _, b := newProxyWith(t, mixed, `{}`)
	b.send = replying(func() *gateway.Reply {
		return &gateway.Reply{Stream: &untold{events{data: []string{first, second, "[DONE]"}}}}
	})
	w, call := ask(t, p, "/v1/messages", strings.Replace(messages, `"model":"x"`, `"model":"y","stream":true`, 1), nil)
	if !call.Usage.Estimated || call.Usage.Output != 1 || call.Usage.Input == 0 || !strings.Contains(w.Body.String(), `"output_tokens":1`) {
		t.Errorf("the usage is %+v, answered is %s", call.Usage, w.Body)
	}
}

// untold is a stream whose provider tells no usage.
type untold struct{ events }

func (*untold) Usage() dialect.Usage { return dialect.Usage{} }

// A body of the gateway's own is in OpenAI's dialect, whatever the surface, and so is the answer that is judged.
func TestABodyOfTheGatewaysOwnIsTranslatedToo(t *testing.T) {
	p, a, _ := newProxyWith(t, mixed, `{}`)
	a.send = replying(func() *gateway.Reply { return whole(message) })
	native := `{"model":"x","messages":[{"role":"user","content":"ping"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":false,"schema":{"type":"object","properties":{"n":{"type":"number","minimum":0}}}}}}`
	w, call := ask(t, p, "/v1/analyze/", `{}`, func(c *gateway.Call) {
		c.Route = p.app.RouteTo("x")
		c.Native = func() ([]byte, error) { return []byte(native), nil }
		c.Accept = func(body []byte, last bool) (answer, again []byte, err *dialect.Error) {
			if gjson.GetBytes(body, "choices.0.message.content").Str != "pong" {
				t.Errorf("judged is %s", body)
			}
			if !last {
				return nil, []byte(native), nil
			}
			return []byte(`"accepted"`), nil, nil
		}
	})
	sent := gjson.ParseBytes(a.sent[1].Body)
	if w.Body.String() != `"accepted"` || call.Attempts != 2 || call.Usage.Total() != 10 {
		t.Errorf("answered is %d %s after %d attempts", w.Code, w.Body, call.Attempts)
	}
	// Anthropic would refuse this schema, so that it is asked for one that it takes.
	if schema := sent.Get("output_config.format.schema"); schema.Get("additionalProperties").Raw != "false" || schema.Get("properties.n.description").Str != `{"minimum":0}` || sent.Get("system").Exists() {
		t.Errorf("sent is %s", sent.Raw)
	}
}

// BenchmarkTranslatedStream measures a thousand events in the client's dialect. The allocation for each is that of the stand-in, which keeps strings.
func BenchmarkTranslatedStream(b *testing.B) {
	const fragments = 1000
	data := append([]string{}, messageEvents[:2]...)
	for range fragments {
		data = append(data, messageEvents[3])
	}
	data = append(data, messageEvents[5:]...)
	w := written{codec: gateway.CodecOf(dialect.Anthropic)}
	b.ReportAllocs()
	for b.Loop() {
		reply, err := w.translate(&gateway.Reply{Stream: &typedEvents{events{data: data}}}, gateway.CodecOf(dialect.OpenAI), new(gateway.Call))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for reply.Stream.Next() {
			n++
		}
		if n < fragments || !reply.Stream.Last() {
			b.Fatalf("%d events", n)
		}
	}
}

// BenchmarkCall is a call's whole way through the handler but for the network, to a provider of the client's dialect and to one of another:
// the difference is what translating costs.
func BenchmarkCall(b *testing.B) {
	p, a, open := newProxyWith(b, mixed, `{}`)
	open.send = func(_ context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
		attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)}) // as providers do
		return whole(answer), nil
	}
	a.send = func(_ context.Context, attempt *gateway.Attempt) (*gateway.Reply, error) {
		attempt.Splice(dialect.Edit{Name: "model", Value: dialect.String(nil, attempt.Model)})
		return whole(message), nil
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1kB", 1 << 10}, {"100kB", 100 << 10}, {"5MB", 5 << 20}} {
		for name, model := range map[string]string{"same": "y", "translated": "x"} {
			body := `{"model":"` + model + `","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` +
				strings.Repeat("QUJD", size.bytes/4) + `"}}]}],"max_tokens":9}`
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					a.sent, open.sent = nil, nil
					if w, _ := chat(b, p, body, nil); w.Code != 200 {
						b.Fatal(w.Code, w.Body)
					}
				}
			})
		}
	}
}
