package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// BenchmarkPass is a call from the proxy on whose provider answers at once in the client's own dialect: a whole answer, and a stream
// of 20 events that came together.
func BenchmarkPass(b *testing.B) {
	p, a, _ := newProxy(b)
	s := &batches{sizes: []int{21}}
	for range 20 {
		s.data = append(s.data, first)
	}
	s.data = append(s.data, "[DONE]")
	for name, work := range map[string]struct {
		body  string
		reply func() *gateway.Reply
	}{
		"whole": {question, func() *gateway.Reply { return whole(answer) }},
		"stream": {streamed, func() *gateway.Reply {
			s.at = 0
			return &gateway.Reply{Stream: s}
		}},
	} {
		b.Run(name, func(b *testing.B) {
			a.send = func(context.Context, *gateway.Attempt) (*gateway.Reply, error) { return work.reply(), nil }
			w := httptest.NewRecorder()
			r := gatewaytest.Request(w, http.MethodPost, "/v1/chat/completions", strings.NewReader(work.body))
			call := p.app.Enter(w, r)
			defer call.Leave()
			b.ReportAllocs()
			for b.Loop() {
				w.Body.Reset()
				a.sent = a.sent[:0]
				if err := p.ServeHTTP(w, r, nil); err != nil {
					b.Fatal(err)
				}
			}
			if w.Code != http.StatusOK {
				b.Errorf("answered is %d %s", w.Code, w.Body)
			}
		})
	}
}
