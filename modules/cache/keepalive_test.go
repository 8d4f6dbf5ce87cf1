package cache

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const sign = ": ping\n\n"

// Those who joined a call that stays silent get its signs of life as well, and then what the leader gets.
func TestSignsOfLifeReachThoseWhoJoined(t *testing.T) {
	failure := dialect.Errorf(dialect.Unavailable, "nobody is there")
	first := "data: {\"choices\":[]}\n\n"
	for name, tt := range map[string]struct {
		then     func(w http.ResponseWriter, r *http.Request) error
		want     string
		provider string
	}{
		"an answer in events": {func(w http.ResponseWriter, r *http.Request) error {
			steps := make(chan any)
			go func() {
				steps <- first
				synctest.Wait() // until those who joined have it
				steps <- done
			}()
			return events(steps)(w, r)
		}, sign + first + done, "demo"},
		"a whole answer": {whole(completion), "pong, and pong again", "demo"},
		"a failure": {func(w http.ResponseWriter, r *http.Request) error {
			return gateway.CallFrom(r).Fail(w, r, failure)
		}, sign + `data: {"error":{"message":"nobody is there"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, `{}`)
				proceed := make(chan struct{})
				next := func(w http.ResponseWriter, r *http.Request) error { // as the proxy does
					call := gateway.CallFrom(r)
					call.BeginUnanswered(w)
					call.Record.KeepAlive([]byte(sign))
					w.Write([]byte(sign)) //nolint:errcheck // into memory
					<-proceed
					return tt.then(w, r)
				}
				clients := []*client{newClient(t, c, alice, streamed).begin(c, next), newClient(t, c, alice, streamed).begin(c, never(t))}
				for i, cl := range clients {
					if cl.Body.String() != sign || cl.Header().Get("X-Llm-Provider") != "" {
						t.Errorf("in the silence client %d has %q, %v", i, cl.Body, cl.Header())
					}
				}
				close(proceed)
				for i, cl := range clients {
					<-cl.over
					text := cl.Body.String()
					if cl.Code != 200 || !strings.HasPrefix(text, sign) || !strings.Contains(text, tt.want) || strings.Count(text, sign) != 1 {
						t.Errorf("client %d has %d %q", i, cl.Code, text)
					}
					if cl.call.Provider != tt.provider || (cl.call.Err != nil) != (tt.provider == "") {
						t.Errorf("call %d is %+v", i, cl.call)
					}
				}
			})
		})
	}
}

func TestAnAnswerPastItsTimeIsToldBehindSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, `{"ttl":"1s","stale_if_error":"1h"}`)
		newClient(t, c, alice, prompt).send(c, whole(completion))
		cl := newClient(t, c, alice, streamed, "Cache-Control", "no-cache").send(c, func(w http.ResponseWriter, r *http.Request) error {
			call := gateway.CallFrom(r)
			call.BeginUnanswered(w)
			w.Write([]byte(sign)) //nolint:errcheck // into memory
			return call.Fail(w, r, dialect.Errorf(dialect.Unavailable, "nobody is there"))
		})
		if text := cl.Body.String(); !strings.HasPrefix(text, sign+"data: ") || !strings.Contains(text, "pong, and pong again") || !strings.HasSuffix(text, done) || cl.call.Cache != gateway.CacheStale {
			t.Errorf("the client has %q, the cache took part as %q", text, cl.call.Cache)
		}
	})
}
