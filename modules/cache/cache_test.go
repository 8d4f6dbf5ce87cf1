package cache

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

func TestAHitComesInEitherForm(t *testing.T) {
	t.Run("of a whole answer", func(t *testing.T) {
		hitsInBothForms(t, prompt, whole(completion))
	})
	t.Run("of a stream", func(t *testing.T) {
		steps := make(chan any, 3)
		steps <- firstEvent
		steps <- secondEvent
		steps <- done
		hitsInBothForms(t, streamed, events(steps))
	})
}

func hitsInBothForms(t *testing.T, first string, next caddyhttp.HandlerFunc) {
	c := newCache(t, `{}`)
	if cl := newClient(t, c, alice, first).send(c, next); cl.Header().Get("X-Cache") != "MISS" || cl.Header().Get("Cache-Status") != "llm_cache; fwd=uri-miss" {
		t.Errorf("the first call's headers are %v", cl.Header())
	}
	cl := newClient(t, c, alice, prompt).send(c, never(t))
	if cl.Body.String() != string(completion) || cl.Header().Get("X-Cache") != "HIT" || cl.Header().Get("Age") != "0" {
		t.Errorf("the whole hit is %s, %v", cl.Body, cl.Header())
	}
	mustStream(t, newClient(t, c, alice, streamed).send(c, never(t)), false)
	cl = newClient(t, c, alice, withUsage).send(c, never(t))
	mustStream(t, cl, true)
	if cl.call.Cache != gateway.CacheHit || cl.call.Provider != "demo" || cl.call.Status != http.StatusOK || cl.call.Usage != (dialect.Usage{}) {
		t.Errorf("the hit counts as %+v", cl.call)
	}
}

func TestRequestsSayWhatTheyTakeFromTheCache(t *testing.T) {
	// Each call comes to a cache that holds an answer made 90 s ago, unless it is cold.
	for _, tt := range []struct {
		control string
		cold    bool
		want    gateway.CacheResult
		code    int
		keeps   bool // a later call finds what this one was answered
	}{
		{"", false, gateway.CacheHit, 200, false},
		{"", true, gateway.CacheMiss, 200, true},
		{"no-store", false, gateway.CacheBypass, 200, false},
		{"no-store", true, gateway.CacheBypass, 200, false},
		{"no-cache", false, gateway.CacheMiss, 200, true},
		{"max-age=89", false, gateway.CacheMiss, 200, true},
		{"max-age=90", false, gateway.CacheHit, 200, false},
		{"max-age=0", false, gateway.CacheMiss, 200, true},
		{"only-if-cached", false, gateway.CacheHit, 200, false},
		{"only-if-cached", true, gateway.CacheMiss, 504, false},
		{"only-if-cached, max-age=10", false, gateway.CacheMiss, 504, false},
		{"only-if-cached, no-cache", false, gateway.CacheNone, 504, false},
		{"only-if-cached, no-store", false, gateway.CacheNone, 504, false},
	} {
		name := tt.control
		if tt.cold {
			name += " cold"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, `{}`)
				if !tt.cold {
					newClient(t, c, alice, prompt).send(c, whole(completion))
					time.Sleep(90 * time.Second) // of the bubble's own time
				}
				fresh := bytes.Replace(completion, []byte("pong"), []byte("fresh"), 1)
				next := whole(fresh)
				if tt.want == gateway.CacheHit || tt.code != 200 {
					next = never(t)
				}
				cl := newClient(t, c, alice, prompt, "Cache-Control", tt.control).send(c, next)
				if cl.call.Cache != tt.want || cl.Code != tt.code {
					t.Errorf("the call took part as %q and was answered %d, want %q and %d", cl.call.Cache, cl.Code, tt.want, tt.code)
				}
				if tt.want == gateway.CacheHit && cl.Header().Get("Age") != "90" {
					t.Errorf("Age is %q", cl.Header().Get("Age"))
				}
				later := newClient(t, c, alice, prompt, "Cache-Control", "only-if-cached").send(c, never(t))
				if kept := later.Body.String() == string(fresh); kept != tt.keeps {
					t.Errorf("kept: %t, want %t", kept, tt.keeps)
				}
			})
		})
	}
}

func TestAnAnswerIsFreshForItsTimeToLive(t *testing.T) {
	day := 24 * time.Hour
	for _, tt := range []struct {
		name, config string
		own          *time.Duration
		ttl          time.Duration
	}{
		{"by default", `{}`, nil, time.Hour},
		{"by config", `{"ttl":"5m"}`, nil, 5 * time.Minute},
		{"by the call", `{"ttl":"5m"}`, &day, day},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tt.config)
				send := func(next caddyhttp.HandlerFunc) gateway.CacheResult {
					cl := newClient(t, c, alice, prompt)
					cl.call.CacheTTL = tt.own
					return cl.send(c, next).call.Cache
				}
				send(whole(completion))
				time.Sleep(tt.ttl - time.Nanosecond) // of the bubble's own time
				if got := send(whole(completion)); got != gateway.CacheHit {
					t.Errorf("just before the end it is a %s", got)
				}
				time.Sleep(time.Nanosecond)
				if got := send(whole(completion)); got != gateway.CacheMiss {
					t.Errorf("at the end it is a %s", got)
				}
			})
		})
	}
}

func TestATimeToLiveOfZeroNeitherReadsNorWrites(t *testing.T) {
	c := newCache(t, `{}`)
	newClient(t, c, alice, prompt).send(c, whole(completion))
	zero := time.Duration(0)
	for _, body := range []string{prompt, strings.Replace(prompt, "ping", "other", 1)} {
		cl := newClient(t, c, alice, body)
		cl.call.CacheTTL = &zero
		if cl.send(c, whole(completion)); cl.call.Cache != gateway.CacheBypass || cl.Header().Get("X-Cache") != "BYPASS" {
			t.Errorf("the call took part as %q, X-Cache %q", cl.call.Cache, cl.Header().Get("X-Cache"))
		}
	}
	if cl := newClient(t, c, alice, strings.Replace(prompt, "ping", "other", 1)).send(c, whole(completion)); cl.call.Cache != gateway.CacheMiss {
		t.Errorf("what was not to be written is there: %q", cl.call.Cache)
	}
}

func TestWhatIsNotKept(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		answer       []byte
	}{
		{"an answer larger than max_entry", `{"max_entry":100}`, completion},
		{"an answer that is not finished", `{}`, bytes.Replace(completion, []byte(`"stop"`), []byte(`null`), 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, tt.config)
			for range 2 {
				cl := newClient(t, c, alice, prompt).send(c, whole(tt.answer))
				if cl.call.Cache != gateway.CacheMiss || cl.Body.String() != string(tt.answer) {
					t.Errorf("the call took part as %q and was answered %s", cl.call.Cache, cl.Body)
				}
			}
		})
	}
	t.Run("an answer of exactly max_entry is", func(t *testing.T) {
		c := newCache(t, `{"max_entry":`+strconv.Itoa(len(completion))+`}`)
		newClient(t, c, alice, prompt).send(c, whole(completion))
		newClient(t, c, alice, prompt).send(c, never(t))
	})
}

func TestOtherSurfacesPass(t *testing.T) {
	c := newCache(t, `{}`)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/v1/models", nil),
		httptest.NewRequest(http.MethodGet, chatPath, nil),
		httptest.NewRequest(http.MethodPost, "/elsewhere", strings.NewReader("no JSON")),
	} {
		w := httptest.NewRecorder()
		passed := false
		err := c.ServeHTTP(w, gatewaytest.Prepare(w, r), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			passed = true
			return nil
		}))
		if err != nil || !passed || w.Header().Get("X-Cache") != "" {
			t.Errorf("%s %s: passed %t, error %v, headers %v", r.Method, r.URL, passed, err, w.Header())
		}
	}
}

func TestABadCallIsRefusedBeforeItIsLookedUp(t *testing.T) {
	c := newCache(t, `{}`)
	for body, code := range map[string]int{
		`{`: 400,
		`{"model":"no-such-model","messages":[]}`: 404,
		`{"model":"demo"}`:                        400,
	} {
		if cl := newClient(t, c, alice, body).send(c, never(t)); cl.Code != code {
			t.Errorf("%s is answered %d, want %d", body, cl.Code, code)
		}
	}
	// A key that may not use a model finds no answer of it either.
	newClient(t, c, alice, prompt).send(c, whole(completion))
	barred := &gateway.Key{ID: alice.ID, Models: []string{"other"}, Active: true}
	if cl := newClient(t, c, barred, prompt).send(c, never(t)); cl.Code != http.StatusForbidden {
		t.Errorf("a model that the key may not use is answered %d", cl.Code)
	}
}

func TestAStoreThatFailsIsAMiss(t *testing.T) {
	c := cacheWith(t, `{}`, `"store":{"module":"fake","broken":true}`)
	for range 2 {
		if cl := newClient(t, c, alice, prompt).send(c, whole(completion)); cl.Code != 200 || cl.call.Cache != gateway.CacheMiss {
			t.Errorf("the call was answered %d and took part as %q", cl.Code, cl.call.Cache)
		}
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		want        *Cache
		fails       string
	}{
		{"bare", `llm_cache`, &Cache{}, ""},
		{"whole", "llm_cache {\n ttl 2h\n scope team\n match all\n max_entry 2MiB\n}",
			&Cache{TTL: 7200e9, Scope: ScopeTeam, Match: MatchAll, MaxEntry: 2 << 20}, ""},
		{"argument", `llm_cache x`, &Cache{}, "wrong argument count"},
		{"unknown scope", "llm_cache {\n scope all\n}", &Cache{}, "none of key, team and shared"},
		{"unknown match", "llm_cache {\n match some\n}", &Cache{}, "none of deterministic and all"},
		{"unknown option", "llm_cache {\n size 4\n}", &Cache{}, "unrecognized subdirective"},
		{"option twice", "llm_cache {\n ttl 1h\n ttl 2h\n}", &Cache{}, "twice"},
		{"ttl of zero", "llm_cache {\n ttl 0\n}", &Cache{}, "no duration above zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Cache
			err := c.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.input))
			switch {
			case tt.fails == "" && err != nil:
				t.Fatal(err)
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Fatalf("the error is %v, want %q", err, tt.fails)
			case tt.fails == "" && (c.TTL != tt.want.TTL || c.Scope != tt.want.Scope || c.Match != tt.want.Match || c.MaxEntry != tt.want.MaxEntry):
				t.Errorf("the cache is %+v", &c)
			}
		})
	}
}

func TestValidateRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []*Cache{{TTL: -1}, {MaxEntry: -1}, {Scope: "x"}, {Match: "x"}} {
		if c.Validate() == nil {
			t.Errorf("ttl %d, max_entry %d, scope %q, match %q passed", c.TTL, c.MaxEntry, c.Scope, c.Match)
		}
	}
}

// BenchmarkHit measures a call that is answered from memory, with the request's own context and parsing.
func BenchmarkHit(b *testing.B) {
	c := newCache(b, `{}`)
	newClient(b, c, alice, prompt).send(c, whole(completion))
	next := never(b)
	reader := strings.NewReader(prompt)
	w := &discard{header: make(http.Header)}
	base := gatewaytest.Request(w, http.MethodPost, chatPath, reader)
	vars := base.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(prompt)
		clear(vars)
		clear(w.header)
		call := c.app.Enter(w, base)
		call.Key = alice
		if err := c.ServeHTTP(w, base, next); err != nil {
			b.Fatal(err)
		}
		call.Leave()
	}
}

// BenchmarkKey measures what a call of 16 KiB costs before it is looked up.
func BenchmarkKey(b *testing.B) {
	c := newCache(b, `{}`)
	body := strings.Replace(prompt, "ping", strings.Repeat("ping pong ", 1600), 1)
	cl := newClient(b, c, alice, body)
	if err := cl.call.Parse(cl.request); err != nil {
		b.Fatal(err)
	}
	if err := cl.call.Resolve(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c.key(cl.call, cl.request)
	}
}

// discard is a client that reads everything and keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}
