package modules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/caddy-llm/caddy-llm/modules"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const adminKey = "sa_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// chain is a running gateway without its network: Caddy's own server, its routes and all of our handlers. providers are the config's.
func chain(b *testing.B, providers string) (server *caddyhttp.Server, key string) {
	b.Helper()
	text := fmt.Sprintf(`{
		admin off
		auto_https off
		log default {
			level ERROR
		}
		llm_gateway {
			data_dir %s
			admin_key %s
			%s
		}
	}
	http://127.0.0.1:0 {
		handle /respond {
			respond "answer"
		}
		handle {
			llm_health
			llm_keys
			llm_auth
			llm_rate_limit {
				requests 1_000_000_000 1h
			}
			llm_analyze
			llm_cache
			llm_proxy
		}
	}`, b.TempDir(), adminKey, providers)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		b.Fatal(err)
	}
	if err := caddy.Run(&parsed); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			b.Error(err)
		}
	})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	server = app.(*caddyhttp.App).Servers["srv0"]
	made := httptest.NewRecorder()
	server.ServeHTTP(made, request(b, "/v1/api-keys/", adminKey, `{"limits":["1000000000/1h"]}`))
	var shown struct{ Key string }
	if err := json.Unmarshal(made.Body.Bytes(), &shown); err != nil || shown.Key == "" {
		b.Fatalf("making a key: %v in %s", err, made.Body)
	}
	return server, shown.Key
}

func request(b *testing.B, path, key, body string) *http.Request {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "http://127.0.0.1:8000"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// writer takes an answer as net/http's does, and forgets it.
type writer struct {
	header http.Header
	status int
	size   int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { w.size += len(p); return len(p), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }
func (w *writer) Flush()                      {}

// asking makes a call with a body again and again.
func asking(b *testing.B, server *caddyhttp.Server, path, key string) func(body []byte) *writer {
	body := bytes.NewReader(nil)
	template := request(b, path, key, "")
	return func(text []byte) *writer {
		w := &writer{header: make(http.Header)}
		r := *template
		body.Reset(text)
		r.Body, r.ContentLength = io.NopCloser(body), int64(len(text))
		server.ServeHTTP(w, &r)
		return w
	}
}

// BenchmarkChain is a whole call, from Caddy's server to the answer's last byte, without the network: what a request costs
// beyond net/http. The first work is Caddy's own, as a measure.
func BenchmarkChain(b *testing.B) {
	server, key := chain(b, "provider demo")
	prose := strings.Repeat("Please tell me in a few sentences what the state of the project is. ", 14)
	messages := `"messages":[{"role":"user","content":"` + prose + `"}]`
	for _, work := range []struct{ name, path, body, cache string }{
		{"respond", "/respond", `{"model":"demo",` + messages + `}`, ""},
		{"chat_cached", "/v1/chat/completions", `{"model":"demo","temperature":0,` + messages + `}`, "HIT"},
		{"stream_cached", "/v1/chat/completions", `{"model":"demo","temperature":0,"stream":true,` + messages + `}`, "HIT"},
		{"analyze_cached", "/v1/analyze/", `{"prompt":"` + prose + `"}`, "HIT"},
		{"demo", "/v1/chat/completions", `{"model":"demo",` + messages + `}`, "BYPASS"},
		{"demo_stream", "/v1/chat/completions", `{"model":"demo","stream":true,` + messages + `}`, "BYPASS"},
		{"demo_translated", "/v1/messages", `{"model":"demo","max_tokens":100,` + messages + `}`, "BYPASS"},
	} {
		b.Run(work.name, func(b *testing.B) {
			asked := asking(b, server, work.path, key)
			body := []byte(work.body)
			ask := func() *writer { return asked(body) }
			ask() // so that there is something to find
			if w := ask(); w.status != http.StatusOK || w.header.Get("X-Cache") != work.cache {
				b.Fatalf("answered with %d, X-Cache %q", w.status, w.header.Get("X-Cache"))
			}
			b.SetBytes(int64(len(work.body)))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}
