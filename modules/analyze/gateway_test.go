package analyze

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestMain(m *testing.M) {
	for _, id := range []caddy.ModuleID{"llm_gateway.providers.fake", demoModule, "llm_gateway.providers.openai", "llm_gateway.providers.anthropic"} {
		caddy.RegisterModule(fakeProvider{id: id})
	}
	caddy.RegisterModule(fakeStore{})
	goleak.VerifyTestMain(m)
}

// fakeProvider is a provider that only says which models it has.
type fakeProvider struct {
	Default string       `json:"default,omitempty"`
	List    []string     `json:"list,omitempty"`
	Speaks  dialect.Name `json:"speaks,omitempty"` // OpenAI's dialect where it is empty
	Vendor  bool         `json:"vendor,omitempty"`

	id    caddy.ModuleID
	asked *atomic.Int64
	fail  *atomic.Pointer[dialect.Error]
	leave func() // where set, what happens while the provider is asked
}

func (p fakeProvider) CaddyModule() caddy.ModuleInfo {
	id := p.id
	return caddy.ModuleInfo{ID: id, New: func() caddy.Module {
		return &fakeProvider{id: id, asked: new(atomic.Int64), fail: new(atomic.Pointer[dialect.Error])}
	}}
}

func (*fakeProvider) Send(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
	panic("no test of this package sends")
}
func (p *fakeProvider) Dialect() dialect.Name {
	if p.Speaks == "" {
		return dialect.OpenAI
	}
	return p.Speaks
}
func (p *fakeProvider) AtVendor() bool   { return p.Vendor }
func (*fakeProvider) Serves(string) bool { return true }
func (p *fakeProvider) DefaultModel() string {
	return p.Default
}

func (p *fakeProvider) Models(ctx context.Context) ([]gateway.ProviderModel, error) {
	p.asked.Add(1)
	if p.leave != nil {
		p.leave()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.fail.Load(); err != nil {
		return nil, err
	}
	models := make([]gateway.ProviderModel, len(p.List))
	for i, id := range p.List {
		models[i].ID = id
	}
	return models, nil
}

// fakeStore is a store that counts three answers of a megabyte and a half, and knows no keys.
type fakeStore struct{}

func (fakeStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.fake", New: func() caddy.Module { return new(fakeStore) }}
}
func (fakeStore) Limiter() gateway.Limiter     { return nil }
func (fakeStore) Answers() gateway.AnswerStore { return fakeAnswers{} }
func (fakeStore) UseDataDir(string) error      { return nil }
func (fakeStore) Keys() gateway.KeyStore       { return nil }
func (fakeStore) Ledger() gateway.Ledger       { return fakeLedger{} }
func (fakeStore) Files() gateway.FileStore     { return nil }
func (fakeStore) Ping(context.Context) error   { return nil }
func (fakeStore) Release() error               { return nil }

type fakeAnswers struct{ gateway.AnswerStore }

func (fakeAnswers) AnswerStats(ctx context.Context) (gateway.AnswerStats, error) {
	return gateway.AnswerStats{Entries: 3, Bytes: 3 << 19}, ctx.Err()
}

// demoOnly is the config of a gateway that nobody has configured.
const demoOnly = `"providers":[{"name":"demo","provider":{"module":"demo","default":"demo","list":["demo","demo-embedding"]}}]`

// newHandler makes a handler in a gateway that has the given members in its config.
func newHandler(t testing.TB, app, handler string) *Handler {
	t.Helper()
	h, err := tryHandler(t, app, handler)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func tryHandler(t testing.TB, app, handler string) (*Handler, error) {
	t.Helper()
	parent, err := caddy.ProvisionContext(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		AppsRaw: caddy.ModuleMap{"llm_gateway": json.RawMessage(
			`{"data_dir":"` + t.TempDir() + `","store":{"module":"fake"},"database":{"module":"fake"},` + app + `}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(parent)
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.llm_analyze", json.RawMessage(handler))
	if err != nil {
		return nil, err
	}
	return module.(*Handler), nil
}

func (h *Handler) provider(t testing.TB, name string) *fakeProvider {
	t.Helper()
	up, ok := h.app.Upstream(name)
	if !ok {
		t.Fatalf("there is no provider %s", name)
	}
	return up.Provider.(*fakeProvider)
}

// serve sends a request through the handler.
func serve(t testing.TB, h *Handler, r *http.Request, next caddyhttp.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, make(map[string]any))
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
	w := httptest.NewRecorder()
	if next == nil {
		next = func(http.ResponseWriter, *http.Request) error {
			t.Error("the next handler was called")
			return nil
		}
	}
	if err := h.ServeHTTP(w, r.WithContext(ctx), next); err != nil {
		t.Fatal(err)
	}
	return w
}

func post(target, body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
}

// completion is a chat completion in which the model says text.
func completion(text, finish string) []byte {
	body := dialect.String([]byte(`{"choices":[{"message":{"role":"assistant","content":`), text)
	return append(body, `},"finish_reason":"`+finish+`"}]}`...)
}

// says is a proxy whose model says one text after the other, and answers what the call makes of the first good one.
func says(texts ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		call := gateway.CallFrom(r)
		if _, err := call.Native(); err != nil {
			return call.Fail(w, r, err)
		}
		for i, text := range texts {
			answer, again, failure := call.Accept(completion(text, "stop"), i == len(texts)-1)
			if failure != nil {
				return call.Fail(w, r, failure)
			}
			if again == nil {
				return call.ServeAnswer(w, &gateway.Answer{
					Provider: "demo", Model: "demo", Body: answer, Usage: dialect.Usage{Input: 30, Output: 12},
				})
			}
		}
		panic("the last text was neither taken nor refused")
	}
}

// fakeLedger takes sums of usage, and keeps none.
type fakeLedger struct{ gateway.Ledger }

func (fakeLedger) AddUsage(context.Context, gateway.Batch, []gateway.UsageRow) error { return nil }
