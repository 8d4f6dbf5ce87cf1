package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/gateway/gatewaytest"
)

const patterned = `"providers":[{"name":"a","provider":{"module":"scripted","list":["x","llama-7b","llama-70b"]}},
	{"name":"b","provider":{"module":"scripted","list":["y"]}}],
	"models":[{"name":"clever","aliases":["gpt-4","smart"],"targets":[{"provider":"a","model":"x"}]},
		{"name":"llama/*","targets":[{"provider":"a","model":"llama-*"}]},
		{"name":"fixed-*","targets":[{"provider":"a","model":"x"}]}]` // the names of the last are without end

func TestModelsAreListedByTheNamesThatTheConfigGivesThem(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  *gateway.Key
		want string
	}{
		{"nobody", nil, "clever gpt-4 smart llama/7b llama/70b x llama-7b llama-70b y"},
		{"a key for a pattern", &gateway.Key{Models: []string{"llama/*"}}, "llama/7b llama/70b"},
		{"a key for a model with aliases", &gateway.Key{Models: []string{"clever"}}, "clever gpt-4 smart"},
		{"a key for an alias", &gateway.Key{Models: []string{"smart", "llama-*b"}}, "smart llama-7b llama-70b"},
	} {
		for _, shape := range []string{"OpenAI's", "Anthropic's"} {
			t.Run(tt.name+" in "+shape, func(t *testing.T) {
				p, _, _ := newProxyWith(t, patterned, `{}`)
				w := httptest.NewRecorder()
				r := gatewaytest.Request(w, http.MethodGet, "/v1/models", nil)
				if shape == "Anthropic's" {
					r.Header.Set("Anthropic-Version", "2023-06-01")
				}
				call := p.app.Enter(w, r)
				defer call.Leave()
				call.Key = tt.key
				if err := p.ServeHTTP(w, r, nil); err != nil {
					t.Fatal(err)
				}
				var ids []string
				for _, id := range gjson.Get(w.Body.String(), "data.#.id").Array() {
					ids = append(ids, id.Str)
				}
				if got := strings.Join(ids, " "); got != tt.want || gjson.Get(w.Body.String(), "object").Exists() == (shape == "Anthropic's") {
					t.Errorf("the models are %q, want %q: %s", got, tt.want, w.Body)
				}
			})
		}
	}
}

func TestAPatternsCallGoesToItsProviderByTheNameThatTheClientGave(t *testing.T) {
	p, a, _ := newProxyWith(t, patterned, `{}`)
	w, call := chat(t, p, strings.Replace(question, "both", "llama/70b", 1), func(call *gateway.Call) { call.Key = &gateway.Key{Models: []string{"llama/*"}} })
	if w.Code != http.StatusOK || len(a.sent) != 1 || a.sent[0].Model != "llama-70b" || call.Route.Name != "llama/*" {
		t.Errorf("answered is %d %s, sent %+v by the route %+v", w.Code, w.Body, a.sent, call.Route)
	}
	if w, _ = chat(t, p, strings.Replace(question, "both", "smart", 1), func(call *gateway.Call) { call.Key = &gateway.Key{Models: []string{"llama/*"}} }); w.Code != http.StatusForbidden {
		t.Errorf("a model that the key may not use is answered %d %s", w.Code, w.Body)
	}
}

// OpenRouter takes a list of models beside the one.
func TestAKeyOfCertainModelsCannotNameOthersBeside(t *testing.T) {
	p, a, _ := newProxy(t)
	body := strings.Replace(question, "{", `{"models":["z"],`, 1)
	if w, _ := chat(t, p, body, func(call *gateway.Call) { call.Key = &gateway.Key{Models: []string{"both"}} }); w.Code != http.StatusForbidden || len(a.sent) > 0 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	if w, _ := chat(t, p, body, func(call *gateway.Call) { call.Key = &gateway.Key{} }); w.Code != http.StatusOK {
		t.Errorf("a key of all models is answered %d %s", w.Code, w.Body)
	}
}
