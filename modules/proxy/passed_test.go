package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// Can says what the provider has, where the test says so; else chat and embeddings, as of one that does not say.
func (p *scripted) Can(c gateway.Capability) bool {
	if p.Has == nil {
		return c == gateway.CanChat || c == gateway.CanEmbeddings
	}
	return slices.Contains(p.Has, c)
}

const mediaConfig = `"providers":[{"name":"a","provider":{"module":"scripted","list":["x","same"]}},
	{"name":"b","provider":{"module":"scripted","list":["y","same"],"has":["audio","images","moderations"]}}],
	"models":[{"name":"both","targets":[{"provider":"a","model":"x"}],"fallbacks":[{"provider":"b","model":"y"}]}]`

// post asks a surface.
func post(t *testing.T, p *Proxy, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w, _ := serve(t, p, http.MethodPost, path, body, nil)
	return w
}

// speak asks the proxy for speech by a model.
func speak(t *testing.T, p *Proxy, model string) *httptest.ResponseRecorder {
	t.Helper()
	return post(t, p, "/v1/audio/speech", `{"model":"`+model+`","input":"a"}`)
}

func TestATargetWithoutTheSurfaceIsPassedOver(t *testing.T) {
	p, a, b := newProxyWith(t, mediaConfig, `{}`)
	b.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return whole(`{"said":"a"}`), nil }
	for model, upstream := range map[string]string{"both": "y", "same": "same", "b/y": "y"} {
		w := speak(t, p, model)
		if w.Code != 200 || w.Body.String() != `{"said":"a"}` || w.Header().Get("X-Llm-Provider") != "b" || w.Header().Get("X-Llm-Model") != upstream {
			t.Errorf("%s: %d %s %v", model, w.Code, w.Body, w.Header())
		}
	}
	for _, model := range []string{"x", "a/x", "a/same"} {
		if w := speak(t, p, model); w.Code != 404 || !strings.Contains(w.Body.String(), "has no audio here") || gjson.Get(w.Body.String(), "error.param").Str != "model" {
			t.Errorf("%s: %d %s", model, w.Code, w.Body)
		}
	}
	if len(a.sent) > 0 || len(b.sent) != 3 {
		t.Errorf("a was asked %d times, b %d times", len(a.sent), len(b.sent))
	}
}

func TestAProviderWithoutChatGetsNone(t *testing.T) {
	p, _, b := newProxyWith(t, mediaConfig, `{}`)
	if w := post(t, p, "/v1/chat/completions", strings.Replace(question, "both", "b/y", 1)); w.Code != 404 || len(b.sent) > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post(t, p, "/v1/chat/completions", strings.Replace(question, "both", "same", 1)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTheModelIsLeftToTheFirstProviderThatHasTheSurface(t *testing.T) {
	p, a, b := newProxyWith(t, mediaConfig, `{}`)
	w := post(t, p, "/v1/moderations", `{"input":"a"}`)
	if w.Code != 200 || len(a.sent) > 0 || len(b.sent) != 1 || b.sent[0].Model != "" || b.sent[0].Operation != dialect.Moderation {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, ok := w.Header()["X-Llm-Model"]; ok {
		t.Errorf("the model is told as %q", w.Header().Get("X-Llm-Model"))
	}
}

// spoken is an answer in pieces.
type spoken struct {
	pieces []string
	err    error
	at     int
}

func (s *spoken) Next() bool           { s.at++; return s.at <= len(s.pieces) }
func (s *spoken) Event() []byte        { return []byte(s.pieces[s.at-1]) }
func (s *spoken) Data() []byte         { return nil }
func (s *spoken) Last() bool           { return false }
func (s *spoken) Usage() dialect.Usage { return dialect.Usage{} }
func (s *spoken) Err() error           { return s.err }
func (s *spoken) Close() error         { return nil }

// pausing is an answer in pieces of which each takes a second.
type pausing struct{ spoken }

func (s *pausing) Next() bool { time.Sleep(time.Second); return s.spoken.Next() }

// A failed attempt's time is its own provider's, and none of the one that answers.
func TestEachAttemptsTimeIsItsOwnProviders(t *testing.T) {
	ctx := gatewaytest.Context(t, strings.NewReplacer(`"name":"a"`, `"name":"slow"`, `"provider":"a"`, `"provider":"slow"`, `"name":"b"`, `"name":"quick"`, `"provider":"b"`, `"provider":"quick"`,
		`"list":["x","same"]`, `"list":["x","same"],"has":["audio"]`).Replace(mediaConfig))
	p := gatewaytest.Handler(t, ctx, "llm_proxy", `{}`).(*Proxy)
	synctest.Test(t, func(t *testing.T) {
		answering := func(name string, send func(context.Context, *gateway.Attempt) (*gateway.Reply, error)) {
			up, _ := p.app.Upstream(name)
			up.Provider.(*scripted).send = send
		}
		answering("slow", func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
			time.Sleep(20 * time.Second)
			return nil, &dialect.Error{Kind: dialect.Unavailable, Message: "busy", Retryable: true}
		})
		answering("quick", func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
			time.Sleep(time.Second)
			return &gateway.Reply{Stream: &pausing{spoken{pieces: []string{"one"}}}, Header: http.Header{"Content-Type": {"audio/mpeg"}}}, nil
		})
		if w := speak(t, p, "both"); w.Code != 200 || w.Body.String() != "one" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	took := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "gateway_upstream_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			took[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleSum()
		}
	}
	if took["slow"] != 20 || took["quick"] != 3 {
		t.Errorf("the slow provider took %g s, the quick one %g s, want 20 and 3", took["slow"], took["quick"])
	}
}

func TestAnAnswerInPieces(t *testing.T) {
	broken := dialect.BrokenOff()
	const (
		sound  = `{"model":"both","input":"a"}`
		events = `{"model":"both","input":"a","stream_format":"sse"}`
	)
	for _, tt := range []struct {
		name, request, contentType string
		said                       spoken
		body                       string
		aborted                    bool
	}{
		{"whole", sound, "audio/mpeg", spoken{pieces: []string{"one ", "two"}}, "one two", false},
		{"empty", sound, "text/plain", spoken{}, "", false},
		{"broken", sound, "audio/mpeg", spoken{pieces: []string{"one "}, err: broken}, "one ", true},
		{"events that break", events, "text/event-stream", spoken{pieces: []string{"data: 1\n\n"}, err: broken}, "data: 1\n\n" + string(openai.AppendErrorEvent(nil, broken)), false},
		{"what looks like events", sound, "text/event-stream", spoken{pieces: []string{"data: 1"}, err: broken}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _, b := newProxyWith(t, mediaConfig, `{}`)
			b.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
				return &gateway.Reply{Header: http.Header{"Content-Type": {tt.contentType}}, Stream: &tt.said}, nil
			}
			w := httptest.NewRecorder()
			var cause any
			func() {
				defer func() { cause = recover() }()
				w = post(t, p, "/v1/audio/speech", tt.request)
			}()
			if (cause == http.ErrAbortHandler) != tt.aborted {
				t.Fatalf("ended with %v", cause)
			}
			if !tt.aborted && (w.Code != 200 || w.Body.String() != tt.body || w.Header().Get("Content-Type") != tt.contentType) {
				t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
			}
		})
	}
}

func TestUsageThatNobodyTellsIsEstimated(t *testing.T) {
	for _, tt := range []struct {
		operation dialect.Operation
		length    int64
		want      dialect.Usage
	}{
		{dialect.Speech, 16 << 10, dialect.Usage{Input: 5, Output: 16, Estimated: true}},
		{dialect.ImageGeneration, 1, dialect.Usage{Input: 5, Output: 1, Estimated: true}},
		{dialect.Transcription, 400, dialect.Usage{Input: 5, Output: 100, Estimated: true}},
		{dialect.Moderation, 400, dialect.Usage{Input: 5, Estimated: true}},
		{dialect.Files, 400, dialect.Usage{}},
	} {
		call := &gateway.Call{Surface: &gateway.Surface{Operation: tt.operation}, InputTokens: 5}
		if got := estimate(call, tt.length); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.operation, got, tt.want)
		}
	}
}
