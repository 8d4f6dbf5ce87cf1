package openai

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestTheBodyDiffersInTheModelAlone(t *testing.T) {
	calls := make(chan sent, 1)
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls <- keep(t, r)
		providertest.Says(200, "application/json", answer)(w, r)
	})
	p := newProvider(t, base+"/v1", func(p *Provider) { p.APIKey = "upstream-key" })
	a := ask(false)
	a.Body = []byte(" {\n\t\"model\" : \"alias\", \"x\":1.0,\"seed\":9007199254740993 ,\"messages\":[ ]}")
	a.Header = http.Header{"Openai-Beta": {"a", "b"}}
	before := string(a.Body)
	if _, err := p.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got := <-calls
	if want := strings.Replace(before, `"alias"`, `"small"`, 1); got.raw != want || string(a.Body) != before {
		t.Errorf("sent is %q, want %q; the client's is now %q", got.raw, want, a.Body)
	}
	if got.path != "/v1/chat/completions" {
		t.Errorf("the path is %s", got.path)
	}
	for name, want := range map[string][]string{
		"Authorization": {"Bearer upstream-key"}, "X-Request-Id": {"req_1"}, "Openai-Beta": {"a", "b"},
		"Content-Type": {"application/json"}, "User-Agent": {"caddy-llm"}, "Accept-Encoding": nil, "Accept": nil,
	} {
		if !slices.Equal(got.header[name], want) {
			t.Errorf("%s is %q, want %q", name, got.header[name], want)
		}
	}
}

func TestRefusalsOfTheUpstream(t *testing.T) {
	const refused = `{"error":{"message":"the upstream's own words","type":"invalid_request_error","param":"messages","code":"bad_thing"}}`
	for _, tt := range []struct {
		name        string
		status      int
		contentType string
		body        string
		kind        dialect.Kind
		retryable   bool
		passesBody  bool
	}{
		{"400", 400, "application/json", refused, dialect.InvalidRequest, false, true},
		{"401", 401, "application/json", refused, dialect.UpstreamAuth, false, false},
		{"402", 402, "application/json", refused, dialect.UpstreamAuth, false, false},
		{"403", 403, "application/json", refused, dialect.UpstreamAuth, false, false},
		{"413", 413, "application/json", refused, dialect.TooLarge, false, true},
		{"429", 429, "application/json", refused, dialect.RateLimit, true, false},
		{"500", 500, "application/json", refused, dialect.UpstreamFailed, true, false},
		{"503", 503, "application/json", refused, dialect.Unavailable, true, false},
		{"HTML of a proxy", 502, "text/html", "<html>Bad Gateway</html>", dialect.UpstreamFailed, true, false},
		{"redirect", 302, "text/html", "", dialect.UpstreamFailed, false, false},
		{"success without an answer", 204, "", "", dialect.UpstreamFailed, false, false},
		{"truncated JSON", 200, "application/json", answer[:len(answer)/2], dialect.UpstreamFailed, true, false},
		{"HTML with 200", 200, "text/html", "<html>", dialect.UpstreamFailed, true, false},
		{"empty with 200", 200, "application/json", "", dialect.UpstreamFailed, true, false},
		{"error with 200", 200, "application/json", `{"error":{"message":"overloaded"}}`, dialect.UpstreamFailed, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(tt.status, tt.contentType, tt.body)), nil)
			for _, stream := range []bool{false, true} {
				e := providertest.Failure(t, p, ask(stream))
				if e.Kind != tt.kind || e.Retryable != tt.retryable {
					t.Errorf("stream %t: the kind is %s, retryable %t, want %s, %t", stream, e.Kind, e.Retryable, tt.kind, tt.retryable)
				}
				if passes := e.Body != nil; passes != tt.passesBody {
					t.Errorf("stream %t: the body is passed on: %t", stream, passes)
				}
				if tt.kind == dialect.UpstreamAuth && strings.Contains(e.Message, "own words") {
					t.Errorf("the client is told %q", e.Message)
				}
			}
		})
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "9")
		w.Header().Set("Retry-After-Ms", "1500")
		providertest.Says(429, "application/json", `{"error":{"message":"slow down"}}`)(w, r)
	})
	if e := providertest.Failure(t, newProvider(t, base, nil), ask(false)); e.RetryAfter != 1500*time.Millisecond {
		t.Errorf("to wait are %s", e.RetryAfter)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := providertest.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") })
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	providertest.Failure(t, newProvider(t, base, func(p *Provider) { p.APIKey = "secret" }), ask(false))
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	e := providertest.Failure(t, newProvider(t, "http://"+listener.Addr().String(), nil), ask(false))
	if e.Kind != dialect.Unavailable || !e.Retryable {
		t.Errorf("the kind is %s, retryable %t", e.Kind, e.Retryable)
	}
	if strings.Contains(e.Message, listener.Addr().String()) {
		t.Errorf("the client is told the address: %s", e.Message)
	}
}

func TestAConnectionThatBreaks(t *testing.T) {
	breakOff := func(begun string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // a server reads what it is sent
			if begun != "" {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, begun) //nolint:errcheck // the client reads it
				w.(http.Flusher).Flush()
			}
			panic(http.ErrAbortHandler)
		}
	}
	for name, begun := range map[string]string{"before its answer": "", "in its answer": answer[:20]} {
		t.Run(name, func(t *testing.T) {
			e := providertest.Failure(t, newProvider(t, providertest.Serve(t, breakOff(begun)), nil), ask(false))
			if e.Kind != dialect.UpstreamFailed || !e.Retryable {
				t.Errorf("the kind is %s, retryable %t", e.Kind, e.Retryable)
			}
		})
	}
}

func TestSilenceEndsACall(t *testing.T) {
	short := caddy.Duration(20 * time.Millisecond)
	silentAfter := func(contentType, begun string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
			if begun != "" {
				w.Header().Set("Content-Type", contentType)
				io.WriteString(w, begun) //nolint:errcheck // the client reads it
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}
	}
	first := func(p *Provider) { p.FirstTokenTimeout = short }
	idle := func(p *Provider) { p.IdleTimeout = short }
	for _, tt := range []struct {
		name      string
		upstream  http.HandlerFunc
		set       func(*Provider)
		stream    bool
		retryable bool
	}{
		{"before a whole answer", silentAfter("", ""), first, false, true},
		{"before a stream", silentAfter("", ""), first, true, true},
		{"before the first event", silentAfter("text/event-stream", "da"), first, true, true},
		{"in a whole answer", silentAfter("application/json", answer[:20]), idle, false, false},
		{"behind a comment of a stream", silentAfter("text/event-stream", ": ping\n\n"), first, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := providertest.Failure(t, newProvider(t, providertest.Serve(t, tt.upstream), tt.set), ask(tt.stream))
			if e.Kind != dialect.Timeout || e.Retryable != tt.retryable {
				t.Errorf("the kind is %s, retryable %t", e.Kind, e.Retryable)
			}
		})
	}
	t.Run("in a stream", func(t *testing.T) {
		s := openSent(t, newProvider(t, providertest.Serve(t, silentAfter("text/event-stream", opening)), idle), ask(true))
		text, _ := rest(s)
		var e *dialect.Error
		if !errors.As(s.Err(), &e) || e.Kind != dialect.Timeout || e.Retryable || text != opening {
			t.Errorf("after %q the error is %v", text, s.Err())
		}
	})
}

func TestAClientWhoLeavesEndsTheCallUpstream(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan struct{})
	base := providertest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client leave
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	if _, err := newProvider(t, base, nil).Send(ctx, ask(false)); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	<-ended
}

func TestLargeAnswersPass(t *testing.T) {
	const size = 20 << 20
	text := strings.Replace(answer, "pong", strings.Repeat("p", size), 1)
	for name, length := range map[string]bool{"of known length": true, "chunked": false} {
		t.Run(name, func(t *testing.T) {
			base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // a server reads what it is sent
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(len(text)))
				}
				io.WriteString(w, text) //nolint:errcheck // the client reads it
			})
			reply, err := newProvider(t, base, nil).Send(t.Context(), ask(false))
			if err != nil {
				t.Fatal(err)
			}
			if string(reply.Body) != text || reply.Usage.Total() != 9 {
				t.Errorf("the answer has %d bytes, want %d, and used %d tokens", len(reply.Body), len(text), reply.Usage.Total())
			}
		})
	}
	t.Run("but not without end", func(t *testing.T) {
		base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "68719476736")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		if e := providertest.Failure(t, newProvider(t, base, nil), ask(false)); e.Kind != dialect.UpstreamFailed {
			t.Errorf("the kind is %s", e.Kind)
		}
	})
}

func TestAddressesTakeTurns(t *testing.T) {
	hosts := make(chan string, 6)
	named := func(name string) string {
		return providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			hosts <- name
			providertest.Says(200, "application/json", answer)(w, r)
		})
	}
	p := newProvider(t, named("a"), func(p *Provider) { p.BaseURLs = append(p.BaseURLs, named("b"), named("c")) })
	var order string
	for range 6 {
		if _, err := p.Send(t.Context(), ask(false)); err != nil {
			t.Fatal(err)
		}
		order += <-hosts
	}
	if order != "abcabc" {
		t.Errorf("the order is %s", order)
	}
}

func TestAzureTakesTheKeyInItsOwnHeader(t *testing.T) {
	for host, name := range map[string]string{
		"x.openai.azure.com": "Api-Key", "x.cognitiveservices.azure.com": "Api-Key",
		"api.openai.com": "Authorization", "openai.azure.com.example.org": "Authorization",
	} {
		r, err := http.NewRequest(http.MethodPost, "https://"+host+"/openai/v1/chat/completions", nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(r, "secret")
		if len(r.Header) != 1 || !strings.HasSuffix(r.Header.Get(name), "secret") {
			t.Errorf("%s gets %v", host, r.Header)
		}
	}
}

func TestAnOperationThatNoServerHas(t *testing.T) {
	a := ask(false)
	a.Operation = "dream"
	if e := providertest.Failure(t, newProvider(t, "http://127.0.0.1:1", nil), a); e.Kind != dialect.InvalidRequest {
		t.Errorf("the kind is %s", e.Kind)
	}
}

// BenchmarkSend is one exchange over the loopback interface, the server's side of it included.
func BenchmarkSend(b *testing.B) {
	p := newProvider(b, providertest.Serve(b, providertest.Says(200, "application/json", answer)), nil)
	b.ReportAllocs()
	for b.Loop() {
		reply, err := p.Send(b.Context(), ask(false))
		if err != nil || len(reply.Body) == 0 {
			b.Fatal(err)
		}
	}
}
