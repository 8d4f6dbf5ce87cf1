package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// eachWay runs a test with a whole answer and with a stream.
func eachWay(t *testing.T, options string, f func(t *testing.T, body string, p *Proxy, a, b *scripted)) {
	t.Helper()
	for name, body := range map[string]string{"whole": question, "stream": streamed} {
		t.Run(name, func(t *testing.T) {
			p, a, b := newProxyWith(t, config, options)
			synctest.Test(t, func(t *testing.T) { f(t, body, p, a, b) })
		})
	}
}

// replies are given one after the other, errors or the answer where there is none.
func replies(failures ...*dialect.Error) func(context.Context, *gateway.Attempt) (*gateway.Reply, error) {
	return func(_ context.Context, a *gateway.Attempt) (*gateway.Reply, error) {
		if len(failures) > 0 {
			failure := failures[0]
			failures = failures[1:]
			return nil, failure
		}
		if a.Stream {
			return &gateway.Reply{Stream: &events{data: []string{first, second, "[DONE]"}}}, nil
		}
		return whole(answer), nil
	}
}

func TestATargetIsAskedAgainWhereTheConfigSaysSo(t *testing.T) {
	busy := &dialect.Error{Kind: dialect.Unavailable, Message: "busy", Retryable: true}
	eachWay(t, `{"lb_retries":3}`, func(t *testing.T, body string, p *Proxy, a, b *scripted) {
		a.send, b.send = replies(busy), replies(busy)
		began := time.Now()
		w, call := chat(t, p, body, nil)
		if w.Code != 200 || call.Attempts != 3 || len(a.sent) != 2 || time.Since(began) != tryInterval || w.Header().Get("X-Llm-Attempts") != "3" {
			t.Errorf("answered is %d after %d attempts and %s", w.Code, call.Attempts, time.Since(began))
		}
		if call.UpstreamFor != tryInterval {
			t.Errorf("the gateway was waiting for %s", call.UpstreamFor)
		}
	})
}

// A provider that says when to come back is taken at its word, within the time that the config gives.
func TestTheWaitThatAProviderAsksForIsKept(t *testing.T) {
	limited := &dialect.Error{Kind: dialect.RateLimit, Status: 429, Message: "slow down", Retryable: true, RetryAfter: 2 * time.Second}
	alone := strings.Replace(question, "both", "a/x", 1)
	for _, tt := range []struct {
		options  string
		code     int
		attempts int
		took     time.Duration
	}{
		{`{"lb_try_duration":"5s"}`, 200, 2, 2 * time.Second},
		{`{"lb_try_duration":"1s"}`, 429, 1, 0},
		{`{"lb_retries":1}`, 429, 1, 0},
	} {
		p, a, _ := newProxyWith(t, config, tt.options)
		synctest.Test(t, func(t *testing.T) {
			a.send = replies(limited)
			began := time.Now()
			w, call := chat(t, p, alone, nil)
			if w.Code != tt.code || call.Attempts != tt.attempts || time.Since(began) != tt.took {
				t.Errorf("%s: answered is %d after %d attempts and %s", tt.options, w.Code, call.Attempts, time.Since(began))
			}
			if tt.code == 429 && w.Header().Get("Retry-After") != "2" {
				t.Errorf("%s: the headers are %v", tt.options, w.Header())
			}
		})
	}
}

func TestAClientWhoLeavesWhileATargetIsLeftAloneEndsTheCall(t *testing.T) {
	p, a, _ := newProxyWith(t, config, `{"lb_try_duration":"1h"}`)
	synctest.Test(t, func(t *testing.T) {
		a.send = replies(&dialect.Error{Kind: dialect.Unavailable, Retryable: true, RetryAfter: time.Minute})
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Second)
		defer leave()
		call := &gateway.Call{App: p.app, Surface: gateway.ChatCompletions, Route: p.app.RouteTo("a/x")}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := p.attempts(r, call, []byte(question)); err != context.DeadlineExceeded || time.Since(began) != 10*time.Second || len(a.sent) != 1 {
			t.Errorf("after %s and %d attempts the error is %v", time.Since(began), len(a.sent), err)
		}
	})
}

// Case 7 and 9: what an account has against the gateway is no reason for its client to be refused.
func TestWhereAllFailTheClientGetsTheMostTellingFailure(t *testing.T) {
	credential := &dialect.Error{Kind: dialect.UpstreamAuth, Message: "the provider refused the gateway's credential"}
	limited := func(wait time.Duration) *dialect.Error {
		return &dialect.Error{Kind: dialect.RateLimit, Status: 429, Message: "slow down", Retryable: true, RetryAfter: wait}
	}
	spent := &dialect.Error{Kind: dialect.RateLimit, Status: 429, Message: "no money", Code: "insufficient_quota"}
	for i, tt := range []struct {
		a, b        *dialect.Error
		code        int
		after, says string
		shouldRetry string
	}{
		{limited(9 * time.Second), limited(4 * time.Second), 429, "4", "slow down", ""},
		{limited(9 * time.Second), credential, 503, "9", "none of the model's providers", ""},
		{credential, credential, 502, "", "credential", ""},
		{spent, spent, 429, "1", "no money", "false"},
		{&dialect.Error{Kind: dialect.Timeout, Message: "late", Retryable: true}, credential, 504, "", "late", ""},
	} {
		eachWay(t, `{}`, func(t *testing.T, body string, p *Proxy, a, b *scripted) {
			a.send, b.send = replies(tt.a), replies(tt.b)
			w, call := chat(t, p, body, nil)
			h := w.Header()
			if w.Code != tt.code || h.Get("Retry-After") != tt.after || h.Get("X-Should-Retry") != tt.shouldRetry || !strings.Contains(gjson.Get(w.Body.String(), "error.message").Str, tt.says) {
				t.Errorf("%d: answered is %d %v %s", i, w.Code, h, w.Body)
			}
			if call.Attempts != 2 || h.Get("X-Llm-Attempts") != "2" {
				t.Errorf("%d: there were %d attempts, the headers are %v", i, call.Attempts, h)
			}
		})
	}
}

func TestTimeoutsOfTheConfigAreTheAttempts(t *testing.T) {
	p, a, _ := newProxyWith(t, config, `{"connect_timeout":"1s","first_token_timeout":"2s","idle_timeout":"3s","timeout":"4s"}`)
	chat(t, p, question, nil)
	if got, want := fmt.Sprint(a.sent[0].Timeouts), "{1s 2s 3s 4s}"; got != want {
		t.Errorf("the timeouts are %s, want %s", got, want)
	}
}

// Until a stream gives the client something, another target may be asked, also where what it has given so far is nothing in
// the client's dialect.
func TestATranslatedStreamThatSaysNothingIsFollowed(t *testing.T) {
	p, a, b := newProxyWith(t, mixed, `{}`)
	for name, s := range map[string]*events{
		"and fails":       {data: messageEvents[2:3], err: &dialect.Error{Kind: dialect.UpstreamFailed, Message: "it broke off"}},
		"and tells of it": {data: []string{`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`}},
		"and ends so":     {data: messageEvents[2:3]},
	} {
		a.send = replying(func() *gateway.Reply { return &gateway.Reply{Stream: &typedEvents{*s}} })
		b.send = replies()
		w, call := chat(t, p, strings.Replace(streamed, "both", "mixed", 1), nil)
		if text, _, _, done := readChunks(w.Body.String()); text != "pong" || !done || call.Attempts != 2 || call.Err != nil || w.Header().Get("X-Llm-Provider") != "b" {
			t.Errorf("%s: answered is %d %q after %d attempts", name, w.Code, w.Body, call.Attempts)
		}
	}
}
