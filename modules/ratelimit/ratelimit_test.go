package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(brokenStore))
	goleak.VerifyTestMain(m)
}

const (
	chatPath = "/v1/chat/completions"
	question = `{"model":"demo","messages":[{"role":"user","content":"ping"}]}`
)

// Tests run in a bubble of testing/synctest, whose clock stands still at the begin of the year 2000 until all of it sleeps.

// gatewayOf makes handlers of one gateway, outermost first.
func gatewayOf(t testing.TB, configs ...string) []*RateLimit {
	t.Helper()
	ctx := gatewaytest.Context(t, "")
	handlers := make([]*RateLimit, len(configs))
	for i, config := range configs {
		handlers[i] = gatewaytest.Handler(t, ctx, "llm_rate_limit", config).(*RateLimit)
	}
	return handlers
}

func requests(n int64, window time.Duration) gateway.Limit {
	return gateway.Limit{Kind: gateway.LimitRequests, N: n, Window: window}
}

func tokens(n int64, window time.Duration) gateway.Limit {
	return gateway.Limit{Kind: gateway.LimitTokens, N: n, Window: window}
}

// keyWith is a key of the given limits.
func keyWith(limits ...gateway.Limit) *gateway.Key {
	return &gateway.Key{ID: "key_a", Active: true, Limits: limits}
}

// uses is a next handler whose call uses tokens.
func uses(n int64) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		gateway.CallFrom(r).Usage = dialect.Usage{Output: n}
		return nil
	}
}

// send makes a call through the handlers.
func send(t testing.TB, handlers []*RateLimit, key *gateway.Key, path, body string, next caddyhttp.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, path, strings.NewReader(body))
	call := handlers[0].app.Enter(w, r)
	defer call.Leave()
	if call.Key = key; key != nil {
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", key.ID)
	}
	if err := chain(handlers, next).ServeHTTP(w, r); err != nil {
		t.Fatal(err)
	}
	return w
}

func chain(handlers []*RateLimit, next caddyhttp.Handler) caddyhttp.Handler {
	for _, h := range slices.Backward(handlers) {
		behind := next
		next = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, behind) })
	}
	return next
}

// limits are the headers of all families.
func limits(h http.Header) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if lower := strings.ToLower(name); strings.Contains(lower, "ratelimit") || strings.HasPrefix(lower, "retry-after") {
			lines = append(lines, lower+": "+h.Get(name))
		}
	}
	return strings.Join(lines, "\n")
}

func TestHeadersInAllFamilies(t *testing.T) {
	key := keyWith(requests(1000, time.Hour), tokens(60_000, time.Minute))
	strict := `{"limits":[{"kind":"requests","n":2,"window":"1m"}]}`
	for _, tt := range []struct{ name, config, path, want string }{
		{"the key's own limits", `{}`, chatPath, `ratelimit: "requests";r=999;t=3600
ratelimit-policy: "requests";q=1000;w=3600
x-ratelimit-limit: 1000
x-ratelimit-limit-requests: 1000
x-ratelimit-limit-tokens: 60000
x-ratelimit-remaining: 999
x-ratelimit-remaining-requests: 999
x-ratelimit-remaining-tokens: 58971
x-ratelimit-reset: 946688401
x-ratelimit-reset-requests: 1h0m0s
x-ratelimit-reset-tokens: 1m1s`},
		{"the strictest", strict, chatPath, `ratelimit: "requests";r=1;t=60
ratelimit-policy: "requests";q=2;w=60
x-ratelimit-limit: 2
x-ratelimit-limit-requests: 2
x-ratelimit-limit-tokens: 60000
x-ratelimit-remaining: 1
x-ratelimit-remaining-requests: 1
x-ratelimit-remaining-tokens: 58971
x-ratelimit-reset: 946684861
x-ratelimit-reset-requests: 1m0s
x-ratelimit-reset-tokens: 1m1s`},
		{"Anthropic's surface", `{}`, "/v1/messages", `anthropic-ratelimit-requests-limit: 1000
anthropic-ratelimit-requests-remaining: 999
anthropic-ratelimit-requests-reset: 2000-01-01T01:00:00Z
anthropic-ratelimit-tokens-limit: 60000
anthropic-ratelimit-tokens-remaining: 58971
anthropic-ratelimit-tokens-reset: 2000-01-01T00:01:01Z
ratelimit: "requests";r=999;t=3600
ratelimit-policy: "requests";q=1000;w=3600
x-ratelimit-limit: 1000
x-ratelimit-remaining: 999
x-ratelimit-reset: 946688401`},
		{"another surface", strict, "/v1/analyze/", `ratelimit: "requests";r=1;t=60
ratelimit-policy: "requests";q=2;w=60
x-ratelimit-limit: 2
x-ratelimit-remaining: 1
x-ratelimit-reset: 946684861`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := send(t, gatewayOf(t, tt.config), key, tt.path, strings.Replace(question, "{", `{"max_tokens":1024,`, 1), uses(1))
				if got := limits(w.Header()); got != tt.want {
					t.Errorf("the headers are\n%s\nwant\n%s", got, tt.want)
				}
			})
		})
	}
}

func TestARefusalSaysWhichLimitAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{"zone":"site","limits":[{"kind":"requests","n":1,"window":"1m"}]}`)
		key := keyWith(requests(1000, time.Hour), tokens(1_000_000, time.Hour))
		send(t, h, key, chatPath, question, uses(1))
		time.Sleep(10500 * time.Millisecond)
		refused := func(http.ResponseWriter, *http.Request) error {
			t.Error("the call passed")
			return nil
		}
		w := send(t, h, key, "/v1/analyze/", question, refused)
		var body struct {
			Error struct {
				Type    string
				Details map[string]any
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"limit": 1., "remaining": 0., "reset_at": "2000-01-01T00:01:00Z", "scope": "site", "kind": "requests"}
		if w.Code != 429 || body.Error.Type != "rate_limit_exceeded" || !maps.Equal(body.Error.Details, want) {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}
		if got := limits(w.Header()); got != `ratelimit: "requests";r=0;t=50
ratelimit-policy: "requests";q=1;w=60
retry-after: 50
retry-after-ms: 49500
x-ratelimit-limit: 1
x-ratelimit-remaining: 0
x-ratelimit-reset: 946684861` {
			t.Errorf("the headers are\n%s", got)
		}

		w = send(t, h, key, chatPath, question, refused)
		if w.Code != 429 || !strings.Contains(w.Body.String(), `"code":"rate_limit_exceeded"`) || !strings.Contains(w.Body.String(), `"scope":"site"`) {
			t.Errorf("answered is %d %s", w.Code, w.Body)
		}

		time.Sleep(49500 * time.Millisecond)
		if w := send(t, h, key, chatPath, question, uses(1)); w.Code != 200 {
			t.Errorf("when it said so, answered is %d %s", w.Code, w.Body)
		}
	})
}

func TestARefusalOfTokensSpeaksOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		key := keyWith(requests(1000, time.Hour), tokens(100, time.Minute))
		send(t, h, key, chatPath, question, uses(100))
		w := send(t, h, key, chatPath, question, uses(1))
		if w.Code != 429 || w.Header().Get("X-Ratelimit-Limit") != "100" || w.Header().Get("X-Ratelimit-Remaining") != "0" || !strings.Contains(w.Header().Get("Ratelimit-Policy"), `"tokens";q=100`) {
			t.Errorf("answered is %d\n%s", w.Code, limits(w.Header()))
		}
	})
}

func TestTheStricterOfKeyAndHandlerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		key   int64
		route int
		scope string
	}{{"key", 2, 3, "key"}, {"handler", 3, 2, "route"}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := gatewayOf(t, fmt.Sprintf(`{"limits":[{"kind":"requests","n":%d,"window":"1h"}]}`, tt.route))
				key := keyWith(requests(tt.key, time.Hour))
				for range 2 {
					if w := send(t, h, key, chatPath, question, uses(1)); w.Code != 200 {
						t.Fatalf("answered is %d", w.Code)
					}
				}
				for range 2 {
					w := send(t, h, key, chatPath, question, uses(1))
					if w.Code != 429 || !strings.Contains(w.Body.String(), `"scope":"`+tt.scope+`"`) {
						t.Errorf("answered is %d %s", w.Code, w.Body)
					}
				}
			})
		})
	}
}

func TestALaterRefusalGivesEarlierAdmissionsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t,
			`{"zone":"outer","limits":[{"kind":"requests","n":3,"window":"1h"},{"kind":"concurrency","n":1}]}`,
			`{"zone":"inner","limits":[{"kind":"requests","n":1,"window":"1m"}]}`)
		key := keyWith(requests(3, time.Hour), tokens(10_000, time.Hour))
		for i, want := range []int{200, 429, 429, 429} {
			if w := send(t, h, key, chatPath, question, uses(1)); w.Code != want {
				t.Fatalf("call %d is answered %d, want %d", i, w.Code, want)
			}
		}
		time.Sleep(time.Minute)
		w := send(t, h, key, chatPath, question, uses(1))
		if w.Code != 200 {
			t.Errorf("what was refused counted: %d %s", w.Code, w.Body)
		}
		if got := w.Header().Get("X-Ratelimit-Remaining-Tokens"); got != "9369" { // 10,000 less 1 used, and 630 reserved
			t.Errorf("%s tokens remain", got)
		}
	})
}

func TestAKeysOwnLimitsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`, `{}`)
		if w := send(t, h, keyWith(requests(2, time.Hour)), chatPath, question, uses(1)); w.Header().Get("X-Ratelimit-Remaining") != "1" {
			t.Errorf("one call leaves %s of 2", w.Header().Get("X-Ratelimit-Remaining"))
		}
	})
}

func TestTokensAreReservedAndSettled(t *testing.T) {
	for _, tt := range []struct {
		name     string
		limit    int64
		path     string
		body     string
		used     int64
		reserved int64 // as the next handler finds it
		left     int64 // for the next call
	}{
		{"without a bound, a share of a small limit", 100, chatPath, question, 10, 11, 90},
		{"without a bound, at most 1024", 1_000_000, chatPath, question, 10, 1029, 999_990},
		{"the largest of all bounds", 10_000, chatPath, strings.Replace(question, `"messages"`, `"max_tokens":1,"max_completion_tokens":5000,"messages"`, 1), 738, 5005, 9262},
		{"for each choice", 10_000, chatPath, strings.Replace(question, `"messages"`, `"max_tokens":100,"n":3,"messages"`, 1), 30, 305, 9970},
		{"embeddings have no output", 10_000, "/v1/embeddings", `{"model":"demo-embedding","input":"0123456789abcdef"}`, 4, 4, 9996},
		{"at least one", 10_000, "/v1/embeddings", `{"model":"demo-embedding","input":""}`, 0, 1, 10_000},
		{"more than was reserved", 10_000, chatPath, strings.Replace(question, `"messages"`, `"max_tokens":1,"messages"`, 1), 500, 6, 9500},
		{"the structured prompt surface", 10_000, "/v1/analyze/", `{"prompt":"0123456789"}`, 40, 2005, 9960},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := gatewayOf(t, `{}`)
				key := keyWith(tokens(tt.limit, time.Hour))
				w := send(t, h, key, tt.path, tt.body, func(w http.ResponseWriter, r *http.Request) error {
					if got := tt.limit - gateway.CallFrom(r).Claims[0].Remaining; got != tt.reserved {
						t.Errorf("reserved are %d, want %d", got, tt.reserved)
					}
					return uses(tt.used)(w, r)
				})
				if w.Code != 200 {
					t.Fatalf("answered is %d %s", w.Code, w.Body)
				}
				send(t, h, key, "/v1/embeddings", `{"model":"demo-embedding","input":""}`, func(_ http.ResponseWriter, r *http.Request) error {
					if got := gateway.CallFrom(r).Claims[0].Remaining + 1; got != tt.left {
						t.Errorf("left are %d, want %d", got, tt.left)
					}
					return nil
				})
			})
		})
	}
}

func TestTokensInFlightNeverExceedTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		key := keyWith(tokens(100, time.Minute))
		proceed := make(chan struct{})
		passed := make(chan int64, 50)
		codes := make(chan int, 50)
		body := strings.Replace(question, `"messages"`, `"max_tokens":30,"messages"`, 1)
		for range 50 {
			go func() {
				codes <- send(t, h, key, chatPath, body, func(_ http.ResponseWriter, r *http.Request) error {
					passed <- gateway.CallFrom(r).Claims[0].Cost
					<-proceed
					return nil
				}).Code
			}()
		}
		synctest.Wait()
		var sum int64
		for range len(passed) {
			sum += <-passed
		}
		if sum == 0 || sum > 100 {
			t.Errorf("%d tokens are reserved of 100", sum)
		}
		close(proceed)
		for range 50 {
			<-codes
		}
	})
}

func TestSurfacesWithoutTokensAreNotAskedForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{}`)
		w := send(t, h, keyWith(tokens(1, time.Hour)), "/v1/models", "no JSON", uses(0))
		if w.Code != 200 || limits(w.Header()) != "" {
			t.Errorf("answered is %d\n%s", w.Code, limits(w.Header()))
		}
		w = send(t, h, keyWith(tokens(1, time.Hour)), chatPath, "no JSON", uses(0))
		if w.Code != 400 {
			t.Errorf("a body that is no JSON is answered %d", w.Code)
		}
	})
}

func TestASlotIsGivenBackHoweverTheCallEnds(t *testing.T) {
	for name, next := range map[string]caddyhttp.HandlerFunc{
		"well":        uses(3),
		"in an error": func(http.ResponseWriter, *http.Request) error { return errors.New("failed") },
		"in a refusal": func(w http.ResponseWriter, r *http.Request) error {
			return gateway.CallFrom(r).Fail(w, r, dialect.Errorf(dialect.Unavailable, "x"))
		},
		"in a panic": func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) },
		"without client": func(_ http.ResponseWriter, r *http.Request) error {
			r.Context().Value(leaveKey{}).(context.CancelFunc)()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := gatewayOf(t, `{"limits":[{"kind":"concurrency","n":1},{"kind":"tokens","n":10000,"window":"1h"}]}`)
				end := func(next caddyhttp.HandlerFunc) (remaining int64) {
					defer func() { recover() }() //nolint:errcheck // the panic is the server's to catch
					w := httptest.NewRecorder()
					r := gatewaytest.Request(w, http.MethodPost, chatPath, strings.NewReader(question))
					ctx, leave := context.WithCancel(r.Context())
					defer leave()
					r = r.WithContext(context.WithValue(ctx, leaveKey{}, leave))
					remaining = -1
					h[0].ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { //nolint:errcheck // see next
						remaining = gateway.CallFrom(r).Claims[1].Remaining
						return next(w, r)
					}))
					return remaining
				}
				end(next)
				want := int64(10_000 - 630)
				if name == "well" {
					want -= 3
				}
				if got := end(uses(0)); got != want {
					t.Errorf("the next call finds %d tokens, want %d", got, want)
				}
			})
		})
	}
}

type leaveKey struct{}

func TestConcurrencyIsRefusedWithoutAPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gatewayOf(t, `{"limits":[{"kind":"concurrency","n":1}]}`)
		send(t, h, keyWith(), chatPath, question, func(http.ResponseWriter, *http.Request) error {
			w := send(t, h, keyWith(), chatPath, question, uses(0))
			if w.Code != 429 || w.Header().Get("Retry-After") != "1" || w.Header().Get("Retry-After-Ms") != "1000" || w.Header().Get("X-Ratelimit-Remaining") != "0" {
				t.Errorf("answered is %d\n%s", w.Code, limits(w.Header()))
			}
			return nil
		})
	})
}

func TestWhoIsCounted(t *testing.T) {
	other := &gateway.Key{ID: "key_b", Active: true}
	for _, tt := range []struct {
		name, config string
		first        *gateway.Key
		second       *gateway.Key
		together     bool
	}{
		{"a key", `{"limits":[{"kind":"requests","n":1,"window":"1h"}]}`, keyWith(), keyWith(), true},
		{"two keys", `{"limits":[{"kind":"requests","n":1,"window":"1h"}]}`, keyWith(), other, false},
		{"two keys by path", `{"key":"{http.request.uri.path}","limits":[{"kind":"requests","n":1,"window":"1h"}]}`, keyWith(), other, true},
		{"nobody", `{"limits":[{"kind":"requests","n":1,"window":"1h"}]}`, nil, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := gatewayOf(t, tt.config)
				send(t, h, tt.first, chatPath, question, uses(0))
				if w := send(t, h, tt.second, chatPath, question, uses(0)); (w.Code == 429) != tt.together {
					t.Errorf("the second call is answered %d", w.Code)
				}
			})
		})
	}
	t.Run("two zones", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := gatewayOf(t, `{"zone":"x","limits":[{"kind":"requests","n":1,"window":"1h"}]}`, `{"zone":"y","limits":[{"kind":"requests","n":1,"window":"1h"}]}`)
			if w := send(t, h, nil, chatPath, question, uses(0)); w.Code != 200 {
				t.Errorf("two zones count together: %d", w.Code)
			}
		})
	})
}

// brokenStore is a store that cannot decide.
type brokenStore struct{ undecided }

// undecided is a limiter that fails.
type undecided struct{ gateway.Limiter }

func (*brokenStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_gateway.stores.broken", New: func() caddy.Module { return new(brokenStore) }}
}
func (s *brokenStore) Limiter() gateway.Limiter   { return s.undecided }
func (*brokenStore) Answers() gateway.AnswerStore { return nil }
func (*brokenStore) Ping(context.Context) error   { return nil }
func (*brokenStore) Release() error               { return nil }
func (undecided) Admit(context.Context, []gateway.Claim) (int, error) {
	return -1, errors.New("no route to 10.0.0.1")
}

func TestALimiterThatCannotDecideIs503(t *testing.T) {
	ctx := gatewaytest.Context(t, `"store":{"module":"broken"}`)
	h := []*RateLimit{gatewaytest.Handler(t, ctx, "llm_rate_limit", `{}`).(*RateLimit)}
	w := send(t, h, keyWith(requests(1, time.Hour)), chatPath, question, func(http.ResponseWriter, *http.Request) error {
		t.Error("the call passed")
		return nil
	})
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestValidateRefusesLimitsThatAreNone(t *testing.T) {
	minute := caddy.Duration(time.Minute)
	for name, list := range map[string][]Limit{
		"no window":       {{Kind: gateway.LimitRequests, N: 1}},
		"a window":        {{Kind: gateway.LimitConcurrency, N: 1, Window: minute}},
		"zero":            {{Kind: gateway.LimitRequests, Window: minute}},
		"an unknown kind": {{Kind: "money", N: 1, Window: minute}},
		"twice":           {{Kind: gateway.LimitRequests, N: 1, Window: minute}, {Kind: gateway.LimitRequests, N: 2, Window: minute}},
	} {
		if (&RateLimit{Limits: list}).Validate() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// BenchmarkServeHTTP measures a call with the limits that a usual key and route have, settlement included.
func BenchmarkServeHTTP(b *testing.B) {
	h := gatewayOf(b, `{"limits":[{"kind":"requests","n":1000000000,"window":"1s"},{"kind":"concurrency","n":100}]}`)[0]
	key := keyWith(requests(1_000_000_000, time.Hour), tokens(1<<50, time.Minute))
	reader := strings.NewReader(question)
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, chatPath, reader)
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", key.ID)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	call := h.app.Enter(w, r)
	call.Key = key
	defer call.Leave()
	if err := call.Parse(r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		call.Claims, call.Limited = call.Claims[:0], false
		if err := h.ServeHTTP(w, r, next); err != nil {
			b.Fatal(err)
		}
	}
}
