package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(scripted))
	goleak.VerifyTestMain(m)
}

// scripted is a provider that does as its test says.
type scripted struct {
	List []string             `json:"list,omitempty"`
	Own  dialect.Name         `json:"speaks,omitempty"`
	Also dialect.Name         `json:"also,omitempty"`
	Has  []gateway.Capability `json:"has,omitempty"`

	mu   sync.Mutex
	sent []*gateway.Attempt
	send func(ctx context.Context, a *gateway.Attempt) (*gateway.Reply, error)
	list func() ([]gateway.ProviderModel, error)
}

func (*scripted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.providers.scripted", New: func() caddy.Module { return new(scripted) }}
}
func (p *scripted) Dialect() dialect.Name {
	if p.Own == "" {
		return dialect.OpenAI
	}
	return p.Own
}
func (p *scripted) Serves(model string) bool { return slices.Contains(p.List, model) }
func (p *scripted) DefaultModel() string     { return p.List[0] }

func (p *scripted) Models(context.Context) ([]gateway.ProviderModel, error) {
	if p.list != nil {
		return p.list()
	}
	models := make([]gateway.ProviderModel, len(p.List))
	for i, id := range p.List {
		models[i].ID = id
	}
	return models, nil
}

func (p *scripted) Send(ctx context.Context, a *gateway.Attempt) (*gateway.Reply, error) {
	p.mu.Lock()
	p.sent = append(p.sent, a)
	p.mu.Unlock()
	return p.send(ctx, a)
}

const (
	config = `"providers":[{"name":"a","provider":{"module":"scripted","list":["x","same"]}},{"name":"b","provider":{"module":"scripted","list":["y","same"]}}],
		"models":[{"name":"both","targets":[{"provider":"a","model":"x"}],"fallbacks":[{"provider":"b","model":"y"}]}]`
	question = `{"model":"both","messages":[{"role":"user","content":"ping"}]}`
	answer   = `{"choices":[{"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}]}`
)

func newProxy(t testing.TB) (p *Proxy, a, b *scripted) {
	t.Helper()
	return newProxyWith(t, config, `{}`)
}

func newProxyWith(t testing.TB, config, options string) (p *Proxy, a, b *scripted) {
	t.Helper()
	p = handlerWith(t, config, options)
	provider := func(name string) *scripted {
		up, _ := p.app.Upstream(name)
		s := up.Provider.(*scripted)
		s.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return whole(answer), nil }
		return s
	}
	return p, provider("a"), provider("b")
}

// handlerWith makes the handler in a gateway of the given config.
func handlerWith(t testing.TB, config, options string) *Proxy {
	t.Helper()
	return gatewaytest.Handler(t, gatewaytest.Context(t, config), "llm_proxy", options).(*Proxy)
}

func whole(body string) *gateway.Reply {
	return &gateway.Reply{Body: []byte(body), Usage: dialect.Usage{Input: 3, Output: 2}}
}

// serve sends a request through the handler; prepare changes its call first.
func serve(t testing.TB, p *Proxy, method, target, body string, prepare func(*gateway.Call)) (*httptest.ResponseRecorder, *gateway.Call) {
	t.Helper()
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, method, target, strings.NewReader(body))
	call := p.app.Enter(w, r)
	defer call.Leave()
	if prepare != nil {
		prepare(call)
	}
	if err := p.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	return w, call
}

func chat(t testing.TB, p *Proxy, body string, prepare func(*gateway.Call)) (*httptest.ResponseRecorder, *gateway.Call) {
	t.Helper()
	return serve(t, p, http.MethodPost, "/v1/chat/completions", body, prepare)
}

func TestFallbackOnFailuresThatMayPass(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      error
		code     int
		attempts int
	}{
		{"retryable", &dialect.Error{Kind: dialect.Unavailable, Message: "m", Retryable: true}, 200, 2},
		{"a bad credential", &dialect.Error{Kind: dialect.UpstreamAuth, Message: "m"}, 200, 2},
		{"a model that is not there", &dialect.Error{Kind: dialect.ModelNotFound, Message: "m"}, 200, 2},
		{"an account without money", &dialect.Error{Kind: dialect.RateLimit, Message: "m"}, 200, 2},
		{"not retryable", &dialect.Error{Kind: dialect.InvalidRequest, Message: "m"}, 400, 1},
		{"an error that is not ours", context.Canceled, 500, 1},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %t", tt.name, stream), func(t *testing.T) {
				p, a, b := newProxy(t)
				a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return nil, tt.err }
				body := strings.Replace(question, `"messages"`, fmt.Sprintf(`"stream":%t,"messages"`, stream), 1)
				w, call := chat(t, p, body, nil)
				if w.Code != tt.code || call.Attempts != tt.attempts || len(a.sent)+len(b.sent) != tt.attempts {
					t.Errorf("answered is %d after %d attempts: %s", w.Code, call.Attempts, w.Body)
				}
				if tt.attempts == 2 && (w.Header().Get("X-Llm-Provider") != "b" || w.Header().Get("X-Llm-Model") != "y" || w.Header().Get("X-Llm-Attempts") != "2") {
					t.Errorf("the headers are %v", w.Header())
				}
			})
		}
	}
	t.Run("until nobody is left", func(t *testing.T) {
		p, a, b := newProxy(t)
		for i, s := range []*scripted{a, b} {
			s.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
				return nil, &dialect.Error{Kind: dialect.Unavailable, Message: fmt.Sprintf("failure %d", i), Retryable: true}
			}
		}
		if w, _ := chat(t, p, question, nil); w.Code != 503 || !strings.Contains(w.Body.String(), "failure 1") {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}
	})
}

func TestOnlySomeHeadersTravelUpstream(t *testing.T) {
	p, a, _ := newProxy(t)
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(question))
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Openai-Beta", "Traceparent", "X-Other"} {
		r.Header.Set(name, "v")
	}
	if err := p.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	if h := a.sent[0].Header; len(h) != 2 || h.Get("Openai-Beta") != "v" || h.Get("Traceparent") != "v" {
		t.Errorf("the headers are %v", h)
	}
}

func TestTheSurfaceJudgesAnAnswerTwiceAtMost(t *testing.T) {
	complaint := dialect.Errorf(dialect.UpstreamParsing, "it does not fit")
	for _, tt := range []struct {
		name     string
		good     int // which answer is good; 0 is none
		attempts int
		code     int
	}{
		{"good", 1, 1, 200},
		{"good at the second time", 2, 2, 200},
		{"never good", 0, 2, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, a, _ := newProxy(t)
			judged := 0
			var kept *gateway.Answer
			w, call := chat(t, p, question, func(call *gateway.Call) {
				call.Record = recorder(func(answer *gateway.Answer) { kept = answer })
				call.Accept = func(body []byte, last bool) ([]byte, []byte, *dialect.Error) {
					if judged++; last != (judged == 2) {
						t.Errorf("judgement %d is the last: %t", judged, last)
					}
					switch {
					case judged == tt.good:
						return []byte(`{"judged":true}`), nil, nil
					case last:
						return nil, nil, complaint
					}
					return nil, []byte(`{"model":"both","again":true}`), nil
				}
			})
			if w.Code != tt.code || call.Attempts != tt.attempts || judged != tt.attempts {
				t.Errorf("answered is %d after %d attempts and %d judgements", w.Code, call.Attempts, judged)
			}
			if tt.attempts == 2 && string(a.sent[1].Body) != `{"model":"both","again":true}` {
				t.Errorf("the second body is %s", a.sent[1].Body)
			}
			if call.Usage.Total() != int64(5*tt.attempts) {
				t.Errorf("%d tokens were used", call.Usage.Total())
			}
			if good := tt.code == 200; good != (kept != nil) || good && (string(kept.Body) != `{"judged":true}` || w.Body.String() != `{"judged":true}`) {
				t.Errorf("kept is %+v, answered %s", kept, w.Body)
			}
		})
	}
}

// recorder keeps whole answers.
type recorder func(*gateway.Answer)

func (recorder) Event([]byte)                   {}
func (recorder) KeepAlive([]byte)               {}
func (r recorder) Whole(answer *gateway.Answer) { r(answer) }

func TestAnAnswerThatIsNotCompleteIsDeliveredAndNotKept(t *testing.T) {
	p, a, _ := newProxy(t)
	unfinished := `{"choices":[{"message":{"role":"assistant","content":"po"}}]}`
	a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return whole(unfinished), nil }
	w, _ := chat(t, p, question, func(call *gateway.Call) {
		call.Record = recorder(func(*gateway.Answer) { t.Error("it was kept") })
	})
	if w.Code != 200 || w.Body.String() != unfinished {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	// As a stream it cannot be told, and the status says so.
	w, _ = chat(t, p, strings.Replace(question, `"messages"`, `"stream":true,"messages"`, 1), nil)
	if w.Code != 502 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestModelsAreThoseThatTheKeyMayUse(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  *gateway.Key
		want string
	}{
		{"nobody", nil, "both x same y"},
		{"a key without bounds", &gateway.Key{}, "both x same y"},
		{"a key with bounds", &gateway.Key{Models: []string{"y", "both", "gone"}}, "both y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _, _ := newProxy(t)
			w, _ := serve(t, p, http.MethodGet, "/v1/models", "", func(call *gateway.Call) { call.Key = tt.key })
			var ids []string
			for _, id := range gjson.Get(w.Body.String(), "data.#.id").Array() {
				ids = append(ids, id.Str)
			}
			if got := strings.Join(ids, " "); got != tt.want || !json.Valid(w.Body.Bytes()) {
				t.Errorf("the models are %q, want %q: %s", got, tt.want, w.Body)
			}
			w, _ = serve(t, p, http.MethodGet, "/v1/models/x", "", func(call *gateway.Call) { call.Key = tt.key })
			want := 200
			if tt.key != nil && !tt.key.MayUse("x") {
				want = 404
			}
			if w.Code != want || want == 200 && gjson.Get(w.Body.String(), "owned_by").Str != "a" {
				t.Errorf("the model x is answered %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestAProviderThatCannotListIsLeftOut(t *testing.T) {
	p, a, b := newProxy(t)
	broken := func() ([]gateway.ProviderModel, error) {
		return nil, &dialect.Error{Kind: dialect.Unavailable, Message: "gone"}
	}
	a.list = broken
	if w, _ := serve(t, p, http.MethodGet, "/v1/models", "", nil); w.Code != 200 || gjson.Get(w.Body.String(), "data.#").Int() != 3 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	b.list = broken
	p.app.Models = nil
	if w, _ := serve(t, p, http.MethodGet, "/v1/models", "", nil); w.Code != 503 {
		t.Errorf("where nobody can list, answered is %d %s", w.Code, w.Body)
	}
}

func TestPathsAndMethodsThatAreNone(t *testing.T) {
	p, _, _ := newProxy(t)
	for _, tt := range []struct {
		method, path string
		code         int
		allow        string
	}{
		{http.MethodGet, "/v1/chat/completions", 405, "POST"},
		{http.MethodPost, "/v1/models", 405, "GET"},
		{http.MethodHead, "/v1/models", 200, ""},
		{http.MethodGet, "/v1/nothing", 404, ""},
		{http.MethodGet, "/v1/models/nobody", 404, ""},
	} {
		w, _ := serve(t, p, tt.method, tt.path, "", nil)
		if w.Code != tt.code || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s is answered %d, Allow %q", tt.method, tt.path, w.Code, w.Header().Get("Allow"))
		}
	}
}
