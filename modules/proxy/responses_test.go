package proxy

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	// owning has a provider with the Responses API itself, and one without.
	owning = `"providers":[{"name":"a","provider":{"module":"scripted","list":["x"],"also":"responses"}},{"name":"b","provider":{"module":"scripted","list":["y"]}},
			{"name":"c","provider":{"module":"scripted","list":["z"],"speaks":"anthropic"}}],
		"models":[{"name":"pool","targets":[{"provider":"b","model":"y"}],"fallbacks":[{"provider":"a","model":"x"}]}]`

	responded = `{"id":"resp_1","object":"response","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"pong"}]}],"usage":{"input_tokens":3,"output_tokens":2}}`
)

// respond asks a model for a response; more are further members.
func respond(t testing.TB, p *Proxy, model, more string, prepare func(*gateway.Call)) (status int, answer gjson.Result, call *gateway.Call) {
	t.Helper()
	w, call := ask(t, p, "/v1/responses", `{"model":"`+model+`","input":"ping"`+more+`}`, prepare)
	return w.Code, gjson.Parse(w.Body.String()), call
}

// Speaks is of the dialect that the config names beside the provider's own.
func (p *scripted) Speaks(name dialect.Name) bool { return p.Also == name }

func TestAProviderWithTheResponsesAPIIsSentTheClientsBytes(t *testing.T) {
	p, a, _ := newProxyWith(t, owning, `{}`)
	a.send = replying(func() *gateway.Reply { return whole(responded) })
	odd := `,"previous_response_id":"resp_0","store":true,"tools":[{"type":"web_search"}],"unheard_of":[1e999]`
	status, answer, call := respond(t, p, "x", odd, nil)
	if sent := a.sent[0]; sent.Dialect != dialect.Responses || string(sent.Body) != `{"model":"x","input":"ping"`+odd+`}` {
		t.Errorf("sent is %s in %s", sent.Body, sent.Dialect)
	}
	if status != 200 || answer.Raw != responded || call.Usage.Total() != 5 {
		t.Errorf("answered is %d %s, %+v", status, answer.Raw, call.Usage)
	}
}

func TestOtherProvidersAreAskedInTheirOwnDialect(t *testing.T) {
	p, _, b := newProxyWith(t, owning, `{}`)
	b.send = replying(func() *gateway.Reply { return whole(strings.Replace(answer, "{", `{"id":"c1","model":"small",`, 1)) })
	status, got, call := respond(t, p, "y", `,"instructions":"Be brief.","max_output_tokens":9,"metadata":{"a":"b"}`, nil)
	sent := gjson.ParseBytes(b.sent[0].Body)
	if b.sent[0].Dialect != dialect.OpenAI || sent.Get("messages.0.content").Str != "Be brief." || sent.Get("messages.1.content").Str != "ping" || sent.Get("max_completion_tokens").Int() != 9 {
		t.Errorf("sent is %s", sent.Raw)
	}
	if status != 200 || got.Get("output.0.content.0.text").Str != "pong" || got.Get("status").Str != "completed" || got.Get("created_at").Int() == 0 ||
		got.Get("metadata.a").Str != "b" || got.Get("max_output_tokens").Int() != 9 || got.Get("store").Bool() {
		t.Errorf("answered is %d %s", status, got.Raw)
	}
	if call.Usage.Total() != 5 || call.Surface != gateway.ResponsesCreate {
		t.Errorf("the call is %+v", call)
	}
}

func TestAStreamIsTranslatedAndKeptWhole(t *testing.T) {
	p, _, _ := newProxyWith(t, owning, `{}`)
	up, _ := p.app.Upstream("c")
	up.Provider.(*scripted).send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: &typedEvents{events{data: messageEvents}}} })
	var kept *gateway.Answer
	w, call := ask(t, p, "/v1/responses", `{"model":"z","input":"ping","stream":true,"metadata":{"a":"b"}}`, func(c *gateway.Call) {
		c.Record = recorder(func(answer *gateway.Answer) { kept = answer })
	})
	text, last := "", ""
	for event := range strings.SplitSeq(w.Body.String(), "\n\n") {
		if _, data, ok := strings.Cut(event, "\ndata: "); ok {
			text += gjson.Get(data, "delta").Str
			last = data
		}
	}
	if text != "pong" || gjson.Get(last, "type").Str != "response.completed" || gjson.Get(last, "response.usage.total_tokens").Int() != 5 ||
		gjson.Get(last, "response.metadata.a").Str != "b" || call.Usage.Total() != 5 || call.Err != nil {
		t.Errorf("answered is %s, %+v", w.Body, call)
	}
	if kept == nil || string(kept.Body) != gjson.Get(last, "response").Raw {
		t.Errorf("kept is %+v", kept)
	}
}

func TestWhatOnlyTheProvidersOwnAPIHasGoesToWhoHasIt(t *testing.T) {
	for field, member := range map[string]string{
		"previous_response_id": `,"previous_response_id":"resp_0"`,
		"conversation":         `,"conversation":"conv_1"`,
		"store":                `,"store":true`,
		"tools.0.type":         `,"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]`,
	} {
		t.Run(field, func(t *testing.T) {
			p, a, b := newProxyWith(t, owning, `{}`)
			a.send = replying(func() *gateway.Reply { return whole(responded) })
			status, answer, _ := respond(t, p, "y", member, nil)
			if status != 400 || answer.Get("error.param").Str != field || !strings.Contains(answer.Get("error.message").Str, field) || len(b.sent) > 0 {
				t.Errorf("answered is %d %s", status, answer.Raw)
			}
			if status, answer, _ := respond(t, p, "pool", member, nil); status != 200 || answer.Raw != responded || len(b.sent) > 0 {
				t.Errorf("the pool answers %d %s", status, answer.Raw)
			}
		})
	}
}

// A reference to what a provider has stored is never left out: the model would answer something else.
func TestDroppingLeavesNoConversationOut(t *testing.T) {
	p, _, b := newProxyWith(t, owning, `{"on_unsupported":"drop"}`)
	if status, _, _ := respond(t, p, "y", `,"store":true,"tools":[{"type":"web_search"}]`, nil); status != 200 || gjson.GetBytes(b.sent[0].Body, "tools").Exists() {
		t.Errorf("answered is %d, sent %s", status, b.sent[0].Body)
	}
	if status, answer, _ := respond(t, p, "y", `,"previous_response_id":"resp_0"`, nil); status != 400 {
		t.Errorf("answered is %d %s", status, answer.Raw)
	}
}

func TestBackgroundAnswersAreRefusedEverywhere(t *testing.T) {
	p, a, _ := newProxyWith(t, owning, `{}`)
	if status, answer, _ := respond(t, p, "x", `,"background":true`, nil); status != 400 || answer.Get("error.param").Str != "background" || len(a.sent) > 0 {
		t.Errorf("answered is %d %s", status, answer.Raw)
	}
}

func TestStoredResponsesAreNotFound(t *testing.T) {
	p, a, _ := newProxyWith(t, owning, `{}`)
	for _, tt := range []struct{ method, path string }{
		{http.MethodGet, "/v1/responses/resp_1"}, {http.MethodDelete, "/v1/responses/resp_1"},
		{http.MethodPost, "/v1/responses/resp_1/cancel"}, {http.MethodGet, "/v1/responses/resp_1/input_items"},
	} {
		w, _ := serve(t, p, tt.method, tt.path, "", nil)
		if body := gjson.Parse(w.Body.String()); w.Code != 404 || !strings.Contains(body.Get("error.message").Str, "keeps no responses") || body.Get("error.type").Str != "invalid_request_error" {
			t.Errorf("%s %s: answered is %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
	if len(a.sent) > 0 {
		t.Errorf("%d were sent upstream", len(a.sent))
	}
}

func TestAFailureThatTheProviderToldIsNotToldAgain(t *testing.T) {
	for _, told := range []bool{false, true} {
		p, a, _ := newProxyWith(t, owning, `{}`)
		failure := &dialect.Error{Kind: dialect.UpstreamFailed, Message: "it broke", Told: told}
		a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
			return &gateway.Reply{Stream: &events{data: []string{`{"type":"response.created"}`}, err: failure}}, nil
		}
		w, call := ask(t, p, "/v1/responses", `{"model":"x","input":"ping","stream":true}`, nil)
		if again := strings.Contains(w.Body.String(), `"type":"error"`); again == told || call.Err != failure {
			t.Errorf("told %t: answered is %s, %v", told, w.Body, call.Err)
		}
	}
}
