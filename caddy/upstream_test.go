package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// upstream stands in for a provider on the internet: it speaks OpenAI's wire format, as the test scripts it.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

// seen is a request as the upstream got it.
type seen struct {
	Path   string
	Header http.Header
	Body   string
}

// newUpstream serves each request with handle, which is given the request's body. The list of models it answers by itself.
func newUpstream(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, body string)) *upstream {
	t.Helper()
	u := new(upstream)
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			answerWhole(w, `{"object":"list","data":[{"id":"m","object":"model","created":1760000000,"owned_by":"up"}]}`)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the gateway went away
		}
		u.mu.Lock()
		u.seen = append(u.seen, seen{r.URL.Path, r.Header.Clone(), string(body)})
		u.mu.Unlock()
		handle(w, r, string(body))
	}))
	t.Cleanup(func() {
		u.CloseClientConnections()
		u.Close()
	})
	return u
}

// requests are those seen so far.
func (u *upstream) requests() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]seen(nil), u.seen...)
}

// provider is a Caddyfile's provider block that leads here.
func (u *upstream) provider(options ...string) string {
	return "\t\tprovider up openai {\n\t\t\tbase_url " + u.URL + "/v1\n\t\t\tapi_key {env.UP_KEY}\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

const upKey = "UP_KEY=sk-canary-provider-0123456789abcdef"

// answerText is a whole chat completion with a text.
func answerText(text string) string {
	return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"m-2026","choices":[{"index":0,"message":{"role":"assistant","content":%q},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}`, text)
}

// chunk is one event of a stream with a piece of text.
func chunk(text string) string {
	return fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"m-2026\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}],\"usage\":null}\n\n", text)
}

// The last events of a stream whose usage was asked for.
const (
	chunkStop  = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"m-2026\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
	chunkUsage = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"m-2026\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n"
	chunkDone  = "data: [DONE]\n\n"
)

// answerWhole answers with a JSON body.
func answerWhole(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, body) //nolint:errcheck // the gateway may be gone, which is what some tests want
}

// begin begins a stream and returns what sends an event of it.
func begin(w http.ResponseWriter) func(event string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush := w.(http.Flusher)
	flush.Flush()
	return func(event string) {
		io.WriteString(w, event) //nolint:errcheck
		flush.Flush()
	}
}

// answerStream answers with a whole stream.
func answerStream(w http.ResponseWriter, texts ...string) {
	send := begin(w)
	for _, text := range texts {
		send(chunk(text))
	}
	send(chunkStop)
	send(chunkUsage)
	send(chunkDone)
}
