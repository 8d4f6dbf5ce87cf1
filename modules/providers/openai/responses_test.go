package openai

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

const (
	responded = `{"id":"resp_1","object":"response","status":"completed","error":null,"output":[],"usage":{"input_tokens":7,"output_tokens":2,"total_tokens":9}}`

	created   = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"usage\":null}}\n\n"
	fragment  = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"pong\"}\n\n"
	completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":" + responded + "}\n\n"
	brokenBy  = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":2,\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"},\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
	erred     = "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\"code\":\"server_error\",\"message\":\"oh no\",\"param\":null}\n\n"
)

// withResponses provisions a provider of an upstream that has the Responses API.
func withResponses(t testing.TB, h http.HandlerFunc) *Provider {
	t.Helper()
	return newProvider(t, providertest.Serve(t, h), func(p *Provider) {
		p.Surfaces = []gateway.Capability{gateway.CanChat, gateway.CanResponses}
	})
}

func respond(stream bool) *gateway.Attempt {
	return &gateway.Attempt{Operation: dialect.Chat, Dialect: dialect.Responses, Model: "small", Stream: stream, RequestID: "req_1",
		Body: []byte(`{ "model":"alias","input":"ping","tools":[{"type":"web_search"}],"previous_response_id":"resp_0" }`)}
}

func TestOnlyOpenAIsOwnAddressHasTheResponsesAPIUnlessToldSo(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bases []string
		told  []gateway.Capability
		want  bool
	}{
		{"OpenAI", []string{vendor.Base}, nil, true},
		{"OpenAI, told not to", []string{vendor.Base}, []gateway.Capability{gateway.CanChat}, false},
		{"another", []string{"http://127.0.0.1:1/v1"}, nil, false},
		{"another, told to", []string{"http://127.0.0.1:1/v1"}, []gateway.Capability{gateway.CanResponses}, true},
		{"both", []string{vendor.Base, "http://127.0.0.1:1/v1"}, nil, false},
	} {
		p := &Provider{Surfaces: tt.told}
		p.BaseURLs = tt.bases
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if got := p.Speaks(dialect.Responses); got != tt.want || !p.Speaks(dialect.OpenAI) || p.Speaks(dialect.Anthropic) {
			t.Errorf("%s: it speaks %t", tt.name, got)
		}
		p.Cleanup() //nolint:errcheck // never fails
	}
}

func TestARequestOfTheResponsesAPIPassesWithAnotherModel(t *testing.T) {
	var got sent
	p := withResponses(t, func(w http.ResponseWriter, r *http.Request) {
		got = keep(t, r)
		providertest.Says(200, "application/json", responded)(w, r)
	})
	reply, err := p.Send(t.Context(), respond(false))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(respond(false).Body), "alias", "small", 1)
	if got.path != "/responses" || got.raw != want {
		t.Errorf("%s was sent %s", got.path, got.raw)
	}
	if string(reply.Body) != responded || reply.Usage != (dialect.Usage{Input: 7, Output: 2}) {
		t.Errorf("the reply is %s, %+v", reply.Body, reply.Usage)
	}
}

func TestEventsOfTheResponsesAPIPassAsTheyAre(t *testing.T) {
	for _, tt := range []struct {
		name, sent, want string
		complete, told   bool
		tokens           int64
	}{
		{"whole", created + fragment + completed, created + fragment + completed, true, false, 9},
		{"cut by a bound", created + strings.ReplaceAll(completed, "completed", "incomplete"), created + strings.ReplaceAll(completed, "completed", "incomplete"), true, false, 9},
		{"more behind the end", created + completed + fragment + "data: [DONE]\n\n", created + completed, true, false, 9},
		{"a malformed event", created + "data: {\n\n" + completed, created + completed, true, false, 9},
		{"failed", created + fragment + brokenBy, created + fragment + brokenBy, false, true, 8},
		{"an error", created + fragment + erred, created + fragment, false, false, 0},
		{"no end", created + fragment, created + fragment, false, false, 0},
		{"[DONE] and no end", created + fragment + "data: [DONE]\n\n", created + fragment, false, false, 0},
		{"cut in the last event", created + completed[:60], created, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openSent(t, withResponses(t, providertest.Says(200, "text/event-stream", tt.sent)), respond(true))
			text, complete := rest(s)
			if text != tt.want || complete != tt.complete {
				t.Errorf("the client gets %q, complete %t, want %q", text, complete, tt.want)
			}
			var e *dialect.Error
			if complete != (s.Err() == nil) || !complete && (!errors.As(s.Err(), &e) || e.Retryable || e.Told != tt.told) {
				t.Errorf("complete %t, but the error is %+v", complete, s.Err())
			}
			if got := s.Usage().Total(); got != tt.tokens {
				t.Errorf("%d tokens were used, want %d", got, tt.tokens)
			}
		})
	}
}

func TestWhatFailsBeforeAnythingWasToldMayBeTriedElsewhere(t *testing.T) {
	failedWhole := `{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"oh no"},"output":[]}`
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		kind dialect.Kind
	}{
		"an error event":   {providertest.Says(200, "text/event-stream", erred), dialect.UpstreamFailed},
		"a failed answer":  {providertest.Says(200, "text/event-stream", brokenBy), dialect.RateLimit},
		"a failed whole":   {providertest.Says(200, "application/json", failedWhole), dialect.UpstreamFailed},
		"nothing":          {providertest.Says(200, "text/event-stream", ""), dialect.UpstreamFailed},
		"a refusing proxy": {providertest.Says(503, "text/html", "busy"), dialect.Unavailable},
	} {
		if e := providertest.Failure(t, withResponses(t, tt.h), respond(true)); e.Kind != tt.kind || !e.Retryable || e.Told {
			t.Errorf("%s: the error is %+v", name, e)
		}
	}
}

func BenchmarkResponsesEvent(b *testing.B) {
	_, data, _ := strings.Cut(strings.TrimSpace(fragment), "data: ")
	r, event := &responsesReader{}, []byte(data)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if v := r.Read(event); !v.Pass {
			b.Fatal("the event does not pass")
		}
	}
}
