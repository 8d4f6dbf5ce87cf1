package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// fakeProvider is a provider that only says which models it has; none means all.
type fakeProvider struct {
	Provider
	list []string
}

func (p *fakeProvider) Serves(model string) bool {
	return len(p.list) == 0 || slices.Contains(p.list, model)
}
func (p *fakeProvider) DefaultModel() string         { return p.list[0] }
func (p *fakeProvider) NamesModel(model string) bool { return slices.Contains(p.list, model) }

// newApp is a gateway without guests beside two providers: a serves x, b serves everything.
func newApp(t testing.TB) *App {
	t.Helper()
	m, err := registerMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	app := &App{MaxBody: DefaultMaxBody, log: zap.NewNop(), metrics: m}
	app.journal = newJournal(new(fakeLedger), new(LedgerConfig), m, zap.NewNop())
	app.state.refs.Store(1)
	app.state.release = func() {}
	app.Upstreams = []*Upstream{{Name: "a", Provider: &fakeProvider{list: []string{"x"}}}, {Name: "b", Provider: &fakeProvider{}}}
	return app
}

// request prepares a request as a server does.
func request(w http.ResponseWriter, method, target string, body io.Reader) *http.Request {
	return caddyhttp.PrepareRequest(httptest.NewRequest(method, target, body), caddy.NewReplacer(), w, new(caddyhttp.Server))
}

// enter begins a call that is over with its test.
func enter(t testing.TB, app *App, method, target, body string) (*Call, *httptest.ResponseRecorder, *http.Request) {
	t.Helper()
	w := httptest.NewRecorder()
	r := request(w, method, target, strings.NewReader(body))
	call := app.Enter(w, r)
	t.Cleanup(call.Leave)
	return call, w, r
}

// sample reads a counter or a gauge.
func sample(t testing.TB, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("there are %d families, %v", len(families), err)
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func TestSaneRequestIDsAreKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		ids  []string
		keep bool
	}{
		{"a UUID", []string{"0b2c7d1e-6f0a-4c64-9c2f-2d8a4a1b7a11"}, true},
		{"all marks", []string{"aZ09-_.:"}, true},
		{"the longest", []string{strings.Repeat("a", 128)}, true},
		{"too long", []string{strings.Repeat("a", 129)}, false},
		{"empty", []string{""}, false},
		{"none", nil, false},
		{"two", []string{"a", "b"}, false},
		{"a space", []string{"a b"}, false},
		{"a line ending", []string{"a\nb"}, false},
		{"a slash", []string{"../x"}, false},
		{"not ASCII", []string{"ä"}, false},
		{"a gateway key", []string{NewSecret(KeyPrefix)}, false},
		{"a gateway key and more", []string{NewSecret(KeyPrefix) + "-1"}, false},
		{"an admin credential", []string{NewSecret(AdminKeyPrefix)}, false},
		{"a provider's key", []string{"sk-proj-abc"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := request(w, http.MethodGet, "/", nil)
			if tt.ids != nil {
				r.Header["X-Request-Id"] = tt.ids
			}
			call := newApp(t).Enter(w, r)
			defer call.Leave()
			kept := len(tt.ids) == 1 && call.ID == tt.ids[0]
			if kept != tt.keep || w.Header().Get("X-Request-Id") != call.ID {
				t.Errorf("the id is %q, the header %q", call.ID, w.Header().Get("X-Request-Id"))
			}
			if !kept && uuid.Validate(call.ID) != nil {
				t.Errorf("%q is no UUID", call.ID)
			}
		})
	}
}

func TestACallIsOverWhenItsOutermostHandlerLeaves(t *testing.T) {
	app := newApp(t)
	released := false
	app.state.release = func() { released = true }
	before := sample(t, app.metrics.inFlight)
	w := httptest.NewRecorder()
	r := request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader("{}"))
	if CallFrom(r) != nil {
		t.Error("there is a call before any handler")
	}
	outer := app.Enter(w, r)
	inner := app.Enter(w, r)
	if outer != inner || CallFrom(r) != outer {
		t.Error("the inner handler made a call of its own")
	}
	app.Cleanup() //nolint:errcheck // the config is replaced while the call goes on
	if err := outer.Read(r); err != nil {
		t.Fatal(err)
	}
	inner.Leave()
	if n := sample(t, app.metrics.inFlight) - before; n != 1 || string(outer.Body()) != "{}" || released {
		t.Errorf("the call ended with its inner handler: %v in flight, body %q", n, outer.Body())
	}
	outer.Leave()
	if n := sample(t, app.metrics.inFlight) - before; n != 0 || outer.Body() != nil || !released {
		t.Errorf("the call goes on: %v in flight, body %q, released %t", n, outer.Body(), released)
	}
}

func TestPlaceholdersTellOfTheCall(t *testing.T) {
	call, _, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", "")
	call.Model, call.Provider, call.Upstream, call.Cache, call.Attempts = "m", "p", "u", CacheHit, 2
	call.Key = &Key{ID: "key_1"}
	call.Usage = dialect.Usage{Input: 3, CacheRead: 1, Output: 2}
	call.Err = dialect.Errorf(dialect.Timeout, "x")
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	for name, want := range map[string]string{
		"request_id": call.ID, "surface": "chat_completions", "model": "m", "provider": "p", "upstream_model": "u", "cache": "hit",
		"attempts": "2", "key": "key_1", "usage.input_tokens": "4", "usage.output_tokens": "2", "usage.total_tokens": "6",
		"error": "llm_timeout_error", "nonsense": "?",
	} {
		if got := repl.ReplaceAll("{http.llm."+name+"}", "?"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	call.Key, call.Err = nil, nil
	if got := repl.ReplaceAll("{http.llm.key}{http.llm.error}{http.request.method}", "?"); got != "??POST" {
		t.Errorf("without a key and an error they are %q", got)
	}
}

func TestReadIsBounded(t *testing.T) {
	const limit = 5000 // beyond the pooled buffer
	exact := strings.Repeat("a", limit)
	for _, tt := range []struct {
		name, body string
		fits       bool
	}{
		{"empty", "", true},
		{"short", "a", true},
		{"as long as the pooled buffer", exact[:4096], true},
		{"one less than the limit", exact[1:], true},
		{"exactly the limit", exact, true},
		{"one more", exact + "a", false},
		{"much more", strings.Repeat(exact, 9), false},
	} {
		for _, chunked := range []bool{false, true} {
			app := newApp(t)
			app.MaxBody = limit
			call, _, r := enter(t, app, http.MethodPost, "/", tt.body)
			if chunked {
				r.ContentLength = -1
			}
			err := call.Read(r)
			switch {
			case tt.fits && (err != nil || string(call.Body()) != tt.body):
				t.Errorf("%s, chunked %t: %v, %d bytes", tt.name, chunked, err, len(call.Body()))
			case !tt.fits && (err == nil || err.Kind != dialect.TooLarge || !strings.Contains(err.Message, "4.9 KiB")):
				t.Errorf("%s, chunked %t: %v", tt.name, chunked, err)
			}
		}
	}
}

func TestTheBodyIsReadOnce(t *testing.T) {
	call, _, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", `{"model":"x","messages":[]}`)
	for range 2 {
		if err := call.Parse(r); err != nil {
			t.Fatal(err)
		}
		if err := call.Read(r); err != nil || call.Model != "x" {
			t.Fatalf("%v, model %q", err, call.Model)
		}
	}
}

func TestAFreedBodyIsEmptyAndNotReadAgain(t *testing.T) {
	const text = `{"model":"x","messages":[]}`
	for _, tt := range []struct {
		name string
		set  func(*Call)
		want string
	}{
		{"else", func(*Call) {}, ""},
		{"where prompts are kept", func(c *Call) { c.App.journal.config.Prompts = true }, text},
		{"where the surface wrote the body", func(c *Call) { c.Native = func() ([]byte, error) { return nil, nil } }, text},
		{"where the surface judges the answer", func(c *Call) {
			c.Accept = func([]byte, bool) (answer, again []byte, err *dialect.Error) { return nil, nil, nil }
		}, text},
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", text)
		if err := call.Parse(r); err != nil {
			t.Fatal(err)
		}
		tt.set(call)
		call.FreeBody()
		r.Body = io.NopCloser(failing{errors.New("the body was asked for again")})
		if err := call.Read(r); err != nil || string(call.Body()) != tt.want || call.Model != "x" {
			t.Errorf("%s: %v, body %q, model %q", tt.name, err, call.Body(), call.Model)
		}
		call.Leave()
	}
}

func TestACredentialInThePlaceOfAModelIsNoName(t *testing.T) {
	for _, model := range []string{NewSecret(KeyPrefix), "b/" + NewSecret(KeyPrefix), "b/x/" + NewSecret(AdminKeyPrefix), "sk-proj-abc", NewSecret(KeyPrefix) + "/x"} {
		call, _, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", `{"model":"`+model+`","messages":[]}`)
		if err := call.Parse(r); err == nil || err.Kind != dialect.ModelNotFound || strings.Contains(err.Error(), model) || call.Model != "" {
			t.Errorf("%s: %v, and the call's model is %q", model, err, call.Model)
		}
	}
	call, _, r := enter(t, newApp(t), http.MethodPost, "/v1/chat/completions", `{"model":"b/ask-sp_x","messages":[]}`)
	if err := call.Parse(r); err != nil {
		t.Errorf("a name that only holds the letters is refused: %v", err)
	}
}

func TestABodyThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		kind dialect.Kind
	}{
		"broken off":           {io.ErrUnexpectedEOF, dialect.InvalidRequest},
		"bounded by a handler": {&http.MaxBytesError{Limit: 7}, dialect.TooLarge},
	} {
		call, _, r := enter(t, newApp(t), http.MethodPost, "/", "")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{tt.err}))
		r.ContentLength = -1
		if err := call.Read(r); err == nil || err.Kind != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestParseFindsWhatConcernsTheGateway(t *testing.T) {
	for _, tt := range []struct {
		name, path, body, encoding string
		kind                       dialect.Kind
		status                     int
	}{
		{"chat", "/v1/chat/completions", `{"model":"x","messages":[],"stream":true,"max_tokens":5,"temperature":0}`, "", "", 0},
		{"embeddings", "/v1/embeddings", `{"model":"x","input":"y","stream":true}`, "identity", "", 0},
		{"analyze", "/v1/analyze/", `{"anything":1}`, "", "", 0},
		{"no JSON", "/v1/chat/completions", `{`, "", dialect.InvalidJSON, 400},
		{"no object", "/v1/chat/completions", `[]`, "", dialect.InvalidJSON, 400},
		{"empty", "/v1/chat/completions", ``, "", dialect.InvalidJSON, 400},
		{"no model", "/v1/chat/completions", `{"messages":[]}`, "", dialect.InvalidRequest, 400},
		{"a member twice", "/v1/chat/completions", `{"model":"x","model":"y","messages":[]}`, "", dialect.InvalidRequest, 400},
		{"compressed", "/v1/chat/completions", `{}`, "gzip", dialect.InvalidRequest, 415},
	} {
		t.Run(tt.name, func(t *testing.T) {
			call, _, r := enter(t, newApp(t), http.MethodPost, tt.path, tt.body)
			r.Header.Set("Content-Encoding", tt.encoding)
			err := call.Parse(r)
			if (err == nil) != (tt.kind == "") || err != nil && (err.Kind != tt.kind || err.HTTPStatus() != tt.status) {
				t.Fatalf("the error is %v", err)
			}
			if again := call.Parse(r); again != err {
				t.Errorf("the second time it is %v", again)
			}
			if tt.name == "chat" && (call.Model != "x" || !call.Stream || call.MaxTokens != 5 || !call.Repeatable) {
				t.Errorf("the call is %+v", call)
			}
			if tt.name == "embeddings" && (call.Stream || !call.Repeatable || call.InputTokens != 1) {
				t.Errorf("the call is %+v", call)
			}
		})
	}
}

func TestCallsWithoutAContextOfCaddysStillWork(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
	call := newApp(t).Enter(w, r)
	defer call.Leave()
	if err := call.Fail(w, r, dialect.Errorf(dialect.NotFound, "x")); err != nil || w.Code != 404 {
		t.Errorf("answered is %d, %v", w.Code, err)
	}
}

func TestMetricsSurviveAReload(t *testing.T) {
	app := newApp(t)
	count := func(m *metrics) float64 {
		return sample(t, m.requests.WithLabelValues("models", OtherLabel, "200"))
	}
	before := count(app.metrics)
	call, w, _ := enter(t, app, http.MethodGet, "/v1/models", "")
	if err := call.ServeBody(w, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	call.depth++ // the call is over twice: once here, once with the test
	app.metrics.observe(call)

	registry := prometheus.NewRegistry()
	for range 2 { // a second app of the same config finds everything registered
		again, err := registerMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		if got := count(again); got != before+1 {
			t.Errorf("the count is %v, want %v", got, before+1)
		}
	}
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("the new registry has %d families, %v", len(families), err)
	}
	call.depth--
}

func TestMetricsHoldNoWordOfAClients(t *testing.T) {
	app := newApp(t)
	call, _, _ := enter(t, app, http.MethodPost, "/v1/chat/completions", "")
	if got := call.modelLabel(); got != OtherLabel {
		t.Errorf("before its route the model is %q", got)
	}
	for model, want := range map[string]string{"x": "x", "a/x": "x", "made-up": OtherLabel, "b/made-up": OtherLabel} {
		call.Route = app.RouteTo(model)
		if got := call.modelLabel(); got != want {
			t.Errorf("%s is counted as %q, want %q", model, got, want)
		}
	}
	for want, err := range map[string]error{
		"": nil, "llm_timeout_error": dialect.Errorf(dialect.Timeout, "x"), OtherLabel: errors.New("whatever a client wrote"),
	} {
		call.Err = err
		if got := call.errorType(); got != want {
			t.Errorf("%v is counted as %q, want %q", err, got, want)
		}
	}
	outcome := func(name string) float64 {
		return sample(t, app.metrics.upstream.WithLabelValues("a", OtherLabel, name))
	}
	call.Route = nil
	for want, err := range map[string]error{
		"ok": nil, "llm_timeout_error": dialect.Errorf(dialect.Timeout, "x"), "canceled": context.Canceled,
	} {
		before := outcome(want)
		app.ObserveAttempt(call, "a", err, 1)
		if outcome(want) != before+1 {
			t.Errorf("%v is not counted as %q", err, want)
		}
	}
	before := outcome("canceled")
	app.ObserveAttempt(call, "a", &dialect.Error{Kind: dialect.UpstreamFailed, Cause: context.Canceled}, 1)
	if outcome("canceled") != before+1 {
		t.Error("a stream whose client left is not counted as canceled")
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	app := newApp(b)
	w := httptest.NewRecorder()
	r := request(w, http.MethodPost, "/v1/chat/completions", nil)
	vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	b.ReportAllocs()
	for b.Loop() {
		clear(vars)
		app.Enter(w, r).Leave()
	}
}

// BenchmarkObserve is what counting a call takes when it is over, of a proxied one with usage.
func BenchmarkObserve(b *testing.B) {
	app := newApp(b)
	call, _, _ := enter(b, app, http.MethodPost, "/v1/chat/completions", `{"model":"x"}`)
	call.Route = &Route{Name: "x"}
	call.Status, call.Attempts, call.Provider, call.Upstream = http.StatusOK, 1, "a", "x"
	call.Usage = dialect.Usage{Input: 100, Output: 20}
	b.ReportAllocs()
	for b.Loop() {
		app.metrics.observe(call)
	}
}
