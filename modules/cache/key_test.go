package cache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

// models leads several names to the same provider in different ways.
const models = `"models":[
	{"name":"alias","targets":[{"provider":"demo","model":"demo"}]},
	{"name":"other","targets":[{"provider":"demo","model":"demo-embedding"}]},
	{"name":"heavy","targets":[{"provider":"demo","model":"demo","weight":2}]},
	{"name":"safe","targets":[{"provider":"demo","model":"demo"}],"fallbacks":[{"provider":"demo","model":"demo"}]}]`

// asking is what a call's key is made of.
type asking struct {
	path, body string
	key        *gateway.Key
	beta       []string
	user       string
}

// keyOf makes the key of a call. The call must be one that can be kept.
func keyOf(t testing.TB, c *Cache, a asking) gateway.AnswerKey {
	t.Helper()
	key, ok := tryKey(t, c, a)
	if !ok {
		t.Fatalf("the call %+v is not to be kept", a)
	}
	return key
}

func tryKey(t testing.TB, c *Cache, a asking) (gateway.AnswerKey, bool) {
	t.Helper()
	if a.path == "" {
		a.path = chatPath
	}
	w := httptest.NewRecorder()
	r := gatewaytest.Request(w, http.MethodPost, a.path, strings.NewReader(a.body))
	if a.beta != nil {
		r.Header["Openai-Beta"] = a.beta
	}
	if a.user != "" {
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", a.user)
	}
	call := c.app.Enter(w, r)
	defer call.Leave()
	call.Key = a.key
	if err := call.Parse(r); err != nil {
		t.Fatalf("parsing %s: %v", a.body, err)
	}
	if err := call.Resolve(); err != nil {
		t.Fatalf("resolving %s: %v", a.body, err)
	}
	return c.key(call, r)
}

func cacheWith(t testing.TB, config, members string) *Cache {
	t.Helper()
	return gatewaytest.Handler(t, gatewaytest.Context(t, members), "llm_cache", config).(*Cache)
}

// value draws any JSON value.
func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 6
		if depth == 0 {
			kinds = 4
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.String().Draw(t, "text")
		case 1:
			return json.Number(fmt.Sprint(rapid.Int32().Draw(t, "number")))
		case 2:
			return rapid.Bool().Draw(t, "truth")
		case 3:
			return nil
		case 4:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
		}
		return rapid.MapOfN(rapid.StringMatching(`[a-ln-z]{1,6}`), value(depth-1), 0, 3).Draw(t, "object")
	})
}

// write writes members in the order drawn, with white space drawn.
func write(t *rapid.T, v any) []byte {
	space := func() string { return rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space") }
	var buf bytes.Buffer
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		if len(names) > 1 {
			names = rapid.Permutation(names).Draw(t, "order")
		}
		buf.WriteString("{" + space())
		for i, name := range names {
			if i > 0 {
				buf.WriteString("," + space())
			}
			quoted, _ := json.Marshal(name)
			buf.Write(quoted)
			buf.WriteString(space() + ":" + space())
			buf.Write(write(t, v[name]))
		}
		buf.WriteString(space() + "}")
	case []any:
		buf.WriteString("[" + space())
		for i, element := range v {
			if i > 0 {
				buf.WriteString("," + space())
			}
			buf.Write(write(t, element))
		}
		buf.WriteString(space() + "]")
	default:
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		buf.Write(text)
	}
	return buf.Bytes()
}

// body draws a chat call: with what it needs, members that we know and members that nobody knows.
func body(t *rapid.T) map[string]any {
	members := rapid.MapOfN(rapid.StringMatching(`x_[a-z]{1,5}`), value(2), 0, 4).Draw(t, "unknown members")
	for _, name := range []string{"tools", "response_format", "reasoning_effort", "parallel_tool_calls", "logit_bias", "top_p"} {
		if rapid.Bool().Draw(t, "has "+name) {
			members[name] = value(1).Draw(t, name)
		}
	}
	members["model"] = "alias"
	members["temperature"] = json.Number("0")
	members["messages"] = []any{map[string]any{"role": "user", "content": rapid.String().Draw(t, "prompt")}}
	return members
}

func TestKeyIsOfTheMeaningAlone(t *testing.T) {
	c := cacheWith(t, `{}`, models)
	rapid.Check(t, func(rt *rapid.T) {
		members := body(rt)
		want := keyOf(t, c, asking{body: string(write(rt, members)), key: alice})
		for name, v := range map[string]any{
			"stream": rapid.Bool().Draw(rt, "stream"), "stream_options": map[string]any{"include_usage": true}, "user": "u",
			"safety_identifier": "s", "metadata": map[string]any{"m": "1"}, "prompt_cache_key": "p", "prompt_cache_retention": "24h",
		} {
			if rapid.Bool().Draw(rt, "adds "+name) {
				members[name] = v
			}
		}
		text := string(write(rt, members))
		if got := keyOf(t, c, asking{body: text, key: alice}); got != want {
			rt.Errorf("%s has another key", text)
		}
	})
}

func TestKeyChangesWithEveryMember(t *testing.T) {
	c := cacheWith(t, `{"match":"all"}`, models)
	rapid.Check(t, func(rt *rapid.T) {
		members := body(rt)
		former, _ := json.Marshal(members)
		want := keyOf(t, c, asking{body: string(former), key: alice})
		var changed string
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0:
			members["new_parameter"] = value(1).Draw(rt, "value")
			changed = "new_parameter"
		case 1:
			members["temperature"] = json.Number("0.25")
			changed = "temperature"
		case 2:
			members["messages"] = append(members["messages"].([]any), map[string]any{"role": "user", "content": ""})
			changed = "messages"
		default:
			for name, v := range members {
				if strings.HasPrefix(name, "x_") {
					members[name], changed = []any{v}, name
					break
				}
			}
			if changed == "" {
				return // nothing unknown was drawn
			}
		}
		text, _ := json.Marshal(members)
		if got := keyOf(t, c, asking{body: string(text), key: alice}); got == want {
			rt.Errorf("%s and %s differ in %s and have one key", former, text, changed)
		}
	})
}

func TestKeyTellsCallersRoutesAndSurfacesApart(t *testing.T) {
	call := func(model string) string { return strings.Replace(prompt, `"demo"`, `"`+model+`"`, 1) }
	bob := &gateway.Key{ID: "key_bob", Team: "red"}
	carol := &gateway.Key{ID: "key_carol", Team: "red"}
	dave := &gateway.Key{ID: "key_dave", Team: "blue"}
	embed := `{"model":"alias","temperature":0,"messages":[],"input":"x"}`
	for _, tt := range []struct {
		name, config string
		a, b         asking
		same         bool
	}{
		{"two names of one model", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("demo"), key: bob}, true},
		{"two models", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("other"), key: bob}, false},
		{"another weight", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("heavy"), key: bob}, false},
		{"another fallback", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("safe"), key: bob}, false},
		{"two surfaces", `{}`, asking{body: embed, key: bob}, asking{path: "/v1/embeddings", body: embed, key: bob}, false},
		{"a beta", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("alias"), key: bob, beta: []string{"x"}}, false},
		{"a second beta", `{}`, asking{body: call("alias"), key: bob, beta: []string{"x"}}, asking{body: call("alias"), key: bob, beta: []string{"x", "y"}}, false},
		{"betas as one", `{}`, asking{body: call("alias"), key: bob, beta: []string{"xy"}}, asking{body: call("alias"), key: bob, beta: []string{"x", "y"}}, false},

		{"two keys of a team", `{}`, asking{body: call("alias"), key: bob}, asking{body: call("alias"), key: carol}, false},
		{"two keys of a team that shares", `{"scope":"team"}`, asking{body: call("alias"), key: bob}, asking{body: call("alias"), key: carol}, true},
		{"two teams", `{"scope":"team"}`, asking{body: call("alias"), key: bob}, asking{body: call("alias"), key: dave}, false},
		{"two keys without a team", `{"scope":"team"}`, asking{body: call("alias"), key: alice}, asking{body: call("alias"), key: &gateway.Key{ID: "key_eve"}}, false},
		{"a team named like a key", `{"scope":"team"}`, asking{body: call("alias"), key: &gateway.Key{ID: "x", Team: "key_alice"}}, asking{body: call("alias"), key: alice}, false},
		{"everybody", `{"scope":"shared"}`, asking{body: call("alias"), key: bob}, asking{body: call("alias")}, true},
		{"users of another handler", `{}`, asking{body: call("alias"), user: "u"}, asking{body: call("alias"), user: "v"}, false},
		{"a user named like a key", `{}`, asking{body: call("alias"), user: "key_alice"}, asking{body: call("alias"), key: alice}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cacheWith(t, tt.config, models)
			if same := keyOf(t, c, tt.a) == keyOf(t, c, tt.b); same != tt.same {
				t.Errorf("one key: %t, want %t", same, tt.same)
			}
		})
	}
}

func TestScopesAreNeverMixed(t *testing.T) {
	// Two handlers of one gateway, with different scopes, share one store.
	ctx := gatewaytest.Context(t, models)
	seen := make(map[gateway.AnswerKey]string)
	for _, scope := range []string{"key", "team", "shared"} {
		c := gatewaytest.Handler(t, ctx, "llm_cache", `{"scope":"`+scope+`"}`).(*Cache)
		key := keyOf(t, c, asking{body: prompt, key: alice})
		if other, ok := seen[key]; ok {
			t.Errorf("scopes %s and %s share a key", scope, other)
		}
		seen[key] = scope
	}
}

func TestOnlyCallsMeantToRepeatHaveAKey(t *testing.T) {
	warm := strings.Replace(prompt, `"temperature":0`, `"temperature":1`, 1)
	for _, tt := range []struct {
		name, config string
		a            asking
		want         bool
	}{
		{"temperature of zero", `{}`, asking{body: prompt, key: alice}, true},
		{"another temperature", `{}`, asking{body: warm, key: alice}, false},
		{"another temperature where all match", `{"match":"all"}`, asking{body: warm, key: alice}, true},
		{"nobody to tell apart", `{}`, asking{body: prompt}, false},
		{"nobody to tell apart, in a team", `{"scope":"team"}`, asking{body: prompt}, false},
		{"nobody, where all share", `{"scope":"shared"}`, asking{body: prompt}, true},
		{"embeddings", `{}`, asking{path: "/v1/embeddings", body: `{"model":"demo-embedding","input":"x"}`, key: alice}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := tryKey(t, newCache(t, tt.config), tt.a); ok != tt.want {
				t.Errorf("has a key: %t, want %t", ok, tt.want)
			}
		})
	}
}

func TestABodyThatCannotBeComparedHasNoKey(t *testing.T) {
	// Names in falling order at every depth: more to sort than a body may cost.
	inner := `0`
	for range 120 {
		pad := strings.Repeat("y", 200)
		inner = `{"b":` + inner + `,"a":"` + pad + `"}`
	}
	text := strings.Replace(prompt, `{"model"`, `{"z":`+inner+`,"model"`, 1)
	c := newCache(t, `{}`)
	if _, ok := tryKey(t, c, asking{body: text, key: alice}); ok {
		t.Error("a body that is too costly to compare has a key")
	}
}

// An answer of the Responses API repeats its request's metadata, which nobody else is to read.
func TestKeysOfResponsesAreOfAllThatTheirAnswersRepeat(t *testing.T) {
	c := cacheWith(t, `{}`, models)
	of := func(more string) gateway.AnswerKey {
		return keyOf(t, c, asking{path: "/v1/responses", body: `{"model":"alias","input":"a","temperature":0` + more + `}`, key: alice})
	}
	plain := of("")
	for _, same := range []string{`,"stream":true`, `,"stream_options":{"include_obfuscation":false}`, `,"prompt_cache_retention":"24h"`} {
		if of(same) != plain {
			t.Errorf("%s changes the key", same)
		}
	}
	for _, other := range []string{`,"metadata":{"a":"b"}`, `,"user":"u"`, `,"safety_identifier":"s"`, `,"instructions":"b"`, `,"tools":[]`, `,"unheard_of":1`} {
		if of(other) == plain {
			t.Errorf("%s does not change the key", other)
		}
	}
}
