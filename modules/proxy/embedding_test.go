package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// vectorServer embeds as Google's does, and as OpenAI's.
func vectorServer(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer := ""
		switch r.URL.Path {
		case "/v1beta/models/m:embedContent":
			answer = `{"embedding":{"values":[1,2]}}`
		case "/v1beta/models/m:batchEmbedContents":
			if gjson.GetBytes(body, "requests.1.model").Str != "models/m" {
				w.WriteHeader(http.StatusBadRequest)
			}
			answer = `{"embeddings":[{"values":[1,2]},{"values":[3,4]}]}`
		case "/v1/embeddings":
			answer = `{"object":"list","data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[3,4]}],"model":"m-1","usage":{"prompt_tokens":9,"total_tokens":9}}`
			if len(gjson.GetBytes(body, "input").Array()) == 1 {
				answer = `{"object":"list","data":[{"index":0,"embedding":[1,2]}],"model":"m-1","usage":{"prompt_tokens":9,"total_tokens":9}}`
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, answer) //nolint:errcheck // the gateway may be gone
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestVectorsComeFromEachProviderToEachClient(t *testing.T) {
	base := vectorServer(t)
	p := handlerWith(t, fmt.Sprintf(`"providers":[{"name":"gemini","provider":{"module":"gemini","base_url":[%q],"models":["m"]}},
		{"name":"openai","provider":{"module":"openai","base_url":["%s/v1"],"models":["m"]}},{"name":"anthropic","provider":{"module":"anthropic","base_url":[%[1]q],"models":["m"]}}]`, base, base), `{}`)
	for _, provider := range []string{"gemini", "openai"} {
		told := provider == "openai" // Google's answer does not tell its usage
		check := func(name, path, body, vector, want string) {
			t.Helper()
			var kept *gateway.Answer
			w, call := serve(t, p, http.MethodPost, path, body, func(c *gateway.Call) {
				c.Record = recorder(func(answer *gateway.Answer) { kept = answer })
			})
			if got := gjson.Get(w.Body.String(), vector).Raw; w.Code != 200 || got != want || kept == nil || string(kept.Body) != w.Body.String() {
				t.Errorf("%s of %s: %d %s, kept %+v", name, provider, w.Code, w.Body, kept)
			}
			if call.Usage.Estimated == told || call.Usage.Input == 0 || told && call.Usage.Input != 9 || call.Usage.Output != 0 {
				t.Errorf("%s of %s: used %+v", name, provider, call.Usage)
			}
		}
		model := provider + "/m"
		check("OpenAI's client", "/v1/embeddings", `{"model":"`+model+`","input":["hello","there"]}`, "data.1.embedding", "[3,4]")
		check("Google's client", "/v1beta/models/"+model+":embedContent", `{"content":{"parts":[{"text":"hello"}]}}`, "embedding.values", "[1,2]")
		check("Google's client with a list", "/v1beta/models/"+model+":batchEmbedContents",
			`{"requests":[{"model":"models/`+model+`","content":{"parts":[{"text":"hello"}]}},{"model":"models/`+model+`","content":{"parts":[{"text":"there"}]}}]}`, "embeddings.1.values", "[3,4]")
	}
	check := func(path, body string) {
		t.Helper()
		if w, _ := serve(t, p, http.MethodPost, path, body, nil); w.Code != 400 || !strings.Contains(w.Body.String(), "takes no embeddings") {
			t.Errorf("Anthropic's answer is %d %s", w.Code, w.Body)
		}
	}
	check("/v1/embeddings", `{"model":"anthropic/m","input":"hello"}`)
	check("/v1beta/models/anthropic%2Fm:embedContent", `{"content":{"parts":[{"text":"hello"}]}}`)
}

func TestAnswersWithTooFewVectorsAreNone(t *testing.T) {
	p, a, b := newProxyWith(t, `"providers":[{"name":"a","provider":{"module":"scripted","list":["x"],"speaks":"gemini"}},{"name":"b","provider":{"module":"scripted","list":["y"]}}],
		"models":[{"name":"both","targets":[{"provider":"a","model":"x"}],"fallbacks":[{"provider":"b","model":"y"}]}]`, `{}`)
	a.send = replying(func() *gateway.Reply { return &gateway.Reply{Body: []byte(`{"embedding":{"values":[1]}}`)} })
	b.send = replying(func() *gateway.Reply {
		return &gateway.Reply{Body: []byte(`{"data":[{"embedding":[1]},{"embedding":[2]}]}`)}
	})
	w, call := serve(t, p, http.MethodPost, "/v1/embeddings", `{"model":"both","input":["a","b"]}`, nil)
	if w.Code != 200 || call.Attempts != 2 || call.Provider != "b" || gjson.Get(w.Body.String(), "data.#").Int() != 2 {
		t.Errorf("%d %s after %d attempts", w.Code, w.Body, call.Attempts)
	}
}

func TestTokensOfGooglesClientsAreCountedByGoogleElseEstimated(t *testing.T) {
	p, a, b := newProxyWith(t, `"providers":[{"name":"a","provider":{"module":"scripted","list":["x"],"speaks":"gemini"}},{"name":"b","provider":{"module":"scripted","list":["y"]}}]`, `{}`)
	a.send = replying(func() *gateway.Reply { return &gateway.Reply{Body: []byte(`{"totalTokens":77}`)} })
	body := `{"contents":[{"parts":[{"text":"` + strings.Repeat("word ", 100) + `"}]}]}`
	if w, _ := ask(t, p, "/v1beta/models/x:countTokens", body, nil); w.Body.String() != `{"totalTokens":77}` || a.sent[0].Operation != dialect.CountTokens {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
	w, _ := ask(t, p, "/v1beta/models/y:countTokens", body, nil)
	if n := gjson.Get(w.Body.String(), "totalTokens").Int(); w.Code != 200 || n < 50 || n > 300 || len(b.sent) != 0 {
		t.Errorf("answered is %d %s", w.Code, w.Body)
	}
}

func TestModelsInTheShapeOfGooglesClients(t *testing.T) {
	p, _, _ := newProxy(t)
	get := func(path string) gjson.Result {
		w, _ := serve(t, p, http.MethodGet, path, "", nil)
		return gjson.Parse(w.Body.String())
	}
	if list := get("/v1beta/models?pageSize=2"); list.Get("models.0.name").Str != "models/both" || list.Get("models.#").Int() != 4 || list.Get("nextPageToken").Exists() {
		t.Errorf("the list is %s", list.Raw)
	}
	if one := get("/v1beta/models/x"); one.Get("name").Str != "models/x" || !one.Get("supportedGenerationMethods").IsArray() {
		t.Errorf("one is %s", one.Raw)
	}
	if none := get("/v1beta/models/nobody"); none.Get("error.status").Str != "NOT_FOUND" || none.Get("error.code").Int() != 404 {
		t.Errorf("none is %s", none.Raw)
	}
	if none := get("/v1beta/files"); none.Get("error.status").Str != "NOT_FOUND" {
		t.Errorf("a path that is not there is %s", none.Raw)
	}
}
