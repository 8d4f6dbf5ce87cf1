package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exchange is a request with the status that the gateway must answer.
type exchange struct {
	status            int
	method, path      string
	key, body, header string // of the request; header is one line
	// unseen says that the document cannot tell what is wrong with the request.
	unseen bool
}

func (e exchange) String() string {
	return fmt.Sprintf("%s %s %.120s -> %d", e.method, e.path, e.body, e.status)
}

func (e exchange) request(t *testing.T, base string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), e.method, base+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	if e.body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if e.key != "" {
		req.Header.Set("Authorization", "Bearer "+e.key)
	}
	if name, value, ok := strings.Cut(e.header, ": "); ok {
		req.Header.Set(name, value)
	}
	return req
}

const refusing = "answer with "

// refuser is a provider that answers with the status that the prompt asks for.
func refuser(t *testing.T) *upstream {
	asked := regexp.MustCompile(refusing + `(\d+)`)
	return newUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		status := http.StatusOK
		if m := asked.FindStringSubmatch(body); m != nil {
			status, _ = strconv.Atoi(m[1])
		}
		if status == http.StatusOK && r.URL.Path == "/v1/audio/speech" {
			w.Header().Set("Content-Type", "audio/mpeg")
			io.WriteString(w, "sound") //nolint:errcheck
			return
		}
		if status == http.StatusOK {
			answerWhole(w, answerText("no JSON"))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"no","type":"refusal","code":7}}`) //nolint:errcheck // the gateway may be gone
	})
}

// padding makes a body larger than the gateway takes.
var padding = strings.Repeat(" ", 17<<10)

func analyzeExchanges(c *contract, spent string) []exchange {
	const path = "/v1/analyze/"
	barred := c.newKey(map[string]any{"allowed_models": []string{"other"}})
	plain := `{"prompt":"Translate Hello World to French"}`
	full := `{"prompt":"Ada, 36","llm_provider":"demo","output_format":"xml","temperature":0,"max_tokens":50,"cache_ttl":0,"metadata":{"a":1},` +
		`"schema_definition":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}`
	refused := func(status int) string { return fmt.Sprintf(`{"prompt":"%s%d","llm_provider":"up"}`, refusing, status) }
	return []exchange{
		{200, "POST", path, c.Key, plain, "X-Request-Id: my-own", false},
		{200, "POST", path + "?include_raw=true", c.Key, plain, "", false},
		{200, "POST", path, c.Key, full, "", false},
		{200, "POST", path, "", plain, "X-API-Key: " + c.Key, false},
		{200, "POST", path, "", plain, "Api-Key: " + c.Key, false},
		{200, "POST", path, c.Key, plain, "Cache-Control: no-cache", false},
		{200, "POST", path, c.Key, plain, "Cache-Control: no-store", false},
		{200, "POST", path, c.Key, `{"prompt":" x ","llm_provider":null,"output_format":null,"schema_definition":null,"temperature":null,"max_tokens":null,"cache_ttl":null,"metadata":null}`, "", false},
		{400, "POST", path, c.Key, `{`, "", false},
		{401, "POST", path, "", plain, "", false},
		{401, "POST", path, "sp_unknown", plain, "", true},
		{403, "POST", path, barred, plain, "", true},
		{413, "POST", path, c.Key, plain + padding, "", true},
		{415, "POST", path, c.Key, plain, "Content-Encoding: gzip", true},
		{422, "POST", path, c.Key, `{}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"  "}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":7}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"` + strings.Repeat("x", 10_001) + `"}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","temprature":1}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","temperature":2.1}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","max_tokens":49}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","max_tokens":8001}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","cache_ttl":86401}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","output_format":"yaml"}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","metadata":[]}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","schema_definition":true}`, "", false},
		{422, "POST", path, c.Key, `{"prompt":"x","schema_definition":{"type":"strin"}}`, "", true},
		{422, "POST", path, c.Key, `{"prompt":"x","llm_provider":"nobody"}`, "", true},
		{422, "POST", path, c.Key, `{"prompt":"x","prompt":"y"}`, "", true},
		{429, "POST", path, spent, plain, "", true},
		{502, "POST", path, c.Key, refused(200), "", true},
		{502, "POST", path, c.Key, refused(400), "", true},
		{502, "POST", path, c.Key, refused(401), "", true},
		{502, "POST", path, c.Key, refused(404), "", true},
		{502, "POST", path, c.Key, refused(500), "", true},
		{503, "POST", path, c.Key, refused(429), "", true},
		{503, "POST", path, c.Key, refused(503), "", true},
		{504, "POST", path, c.Key, refused(504), "", true},
		{504, "POST", path, c.Key, `{"prompt":"never asked"}`, "Cache-Control: only-if-cached", true},

		{200, "GET", "/v1/analyze/providers", c.Key, "", "", false},
		{401, "GET", "/v1/analyze/providers", "", "", "", false},
		{429, "GET", "/v1/analyze/providers", spent, "", "", true},
		{200, "GET", "/v1/analyze/cache/stats", c.Key, "", "", false},
		{401, "GET", "/v1/analyze/cache/stats", "", "", "", false},
		{429, "GET", "/v1/analyze/cache/stats", spent, "", "", true},
	}
}

func azureExchanges(c *contract) []exchange {
	const chat, vectors = "/openai/deployments/demo/chat/completions", "/openai/deployments/demo-embedding/embeddings"
	message, key := `{"messages":[{"role":"user","content":"hello"}]}`, "Api-Key: "+c.Key
	return []exchange{
		{200, "POST", chat + "?api-version=2024-10-21", "", message, key, false},
		{200, "POST", chat, "", `{"stream":true,` + message[1:], key, false},
		{400, "POST", chat, "", `{}`, key, false},
		{401, "POST", chat, "", message, "", false},
		{404, "POST", "/openai/deployments/nope/chat/completions", "", message, key, true},
		{200, "POST", vectors + "?api-version=2024-10-21", "", `{"input":["a"]}`, key, false},
		{400, "POST", vectors, "", `{}`, key, false},
		{401, "POST", vectors, "", `{"input":["a"]}`, "", false},
		{404, "POST", "/openai/deployments/nope/embeddings", "", `{"input":["a"]}`, key, true},
	}
}

func openAIExchanges(c *contract, spent string) []exchange {
	barred := c.newKey(map[string]any{"allowed_models": []string{"other"}, "limits": []string{"1000tokens/1m", "1concurrent"}})
	es := []exchange{
		{200, "POST", chatPath, c.Key, chatBody("demo", `,"stream":true`), "", false},
		{200, "POST", chatPath, c.Key, chatBody("demo", `,"stream":true,"stream_options":{"include_usage":true}`), "", false},
		{200, "POST", chatPath, c.Key, chatBody("demo", `,"temperature":0,"n":null,"seed":1`), "", false},
		{200, "POST", chatPath, c.Key, chatBody("demo", `,"temperature":0,"n":null,"seed":1`), "", false},
		{200, "POST", chatPath, c.Key, chatBody("up/m", ``), "", false},
		{400, "POST", chatPath, c.Key, `{"model":"demo"}`, "", false},
		{400, "POST", chatPath, c.Key, `{"messages":[]}`, "", false},
		{400, "POST", chatPath, c.Key, chatBody("demo", `,"stream":1`), "", false},
		{200, "POST", responsesPath, c.Key, `{"model":"demo","input":[{"role":"user","content":"hello"}],"stream":true}`, "", false},
		{200, "POST", responsesPath, c.Key, `{"model":"demo","input":"hello","temperature":0,"max_output_tokens":99,"store":false}`, "", false},
		{200, "POST", responsesPath, c.Key, `{"model":"demo","input":"hello","temperature":0,"max_output_tokens":99,"store":false}`, "", false},
		{200, "POST", responsesPath, c.Key, `{"model":"up/m","input":"hello","instructions":"Be brief.","background":false}`, "", false},
		{400, "POST", responsesPath, c.Key, `{"model":"demo"}`, "", true},
		{400, "POST", responsesPath, c.Key, `{"model":"demo","input":{}}`, "", false},
		{400, "POST", responsesPath, c.Key, `{"input":"hello"}`, "", false},
		{400, "POST", responsesPath, c.Key, `{"model":"demo","input":"hello","background":true}`, "", false},
		{400, "POST", responsesPath, c.Key, `{"model":"demo","previous_response_id":"resp_1"}`, "", true},
		{200, "POST", "/v1/embeddings", c.Key, `{"model":"demo-embedding","input":"a","encoding_format":"base64"}`, "", false},
		{200, "POST", "/v1/embeddings", c.Key, `{"model":"demo-embedding","input":[[1,2]],"dimensions":3}`, "", false},
		{400, "POST", "/v1/embeddings", c.Key, `{"model":"demo-embedding"}`, "", false},
	}
	for path, body := range map[string]func(model, text string) string{
		chatPath: func(model, text string) string {
			return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, model, text)
		},
		responsesPath: func(model, text string) string { return fmt.Sprintf(`{"model":%q,"input":%q}`, model, text) },
		"/v1/embeddings": func(model, text string) string {
			if model == "demo" {
				model = "demo-embedding"
			}
			return fmt.Sprintf(`{"model":%q,"input":[%q]}`, model, text)
		},
	} {
		plain := body("demo", "hello")
		refused := func(status int) string { return body("up/m", refusing+strconv.Itoa(status)) }
		es = append(es,
			exchange{200, "POST", path, c.Key, plain, "", false},
			exchange{400, "POST", path, c.Key, `{`, "", false},
			exchange{400, "POST", path, c.Key, refused(400), "", true},
			exchange{401, "POST", path, "", plain, "", false},
			exchange{401, "POST", path, c.Key, plain, "X-API-Key: sp_another", true},
			exchange{403, "POST", path, barred, plain, "", true},
			exchange{404, "POST", path, c.Key, body("nope", ""), "", true},
			exchange{409, "POST", path, c.Key, refused(409), "", true},
			exchange{413, "POST", path, c.Key, plain + padding, "", true},
			exchange{415, "POST", path, c.Key, plain, "Content-Encoding: br", true},
			exchange{422, "POST", path, c.Key, refused(422), "", true},
			exchange{429, "POST", path, c.Key, refused(429), "", true},
			exchange{429, "POST", path, spent, plain, "", true},
			exchange{502, "POST", path, c.Key, refused(403), "", true},
			exchange{502, "POST", path, c.Key, refused(500), "", true},
			exchange{503, "POST", path, c.Key, refused(503), "", true},
			exchange{504, "POST", path, c.Key, refused(504), "", true},
			exchange{504, "POST", path, c.Key, plain, "Cache-Control: only-if-cached, max-age=0", true},
		)
	}
	return es
}

const (
	responsesPath = "/v1/responses"
	messagesPath  = "/v1/messages"
)

// messageBody asks a model in Anthropic's dialect.
func messageBody(model, text, members string) string {
	return fmt.Sprintf(`{"model":%q,"max_tokens":64,"messages":[{"role":"user","content":%q}]%s}`, model, text, members)
}

func anthropicExchanges(c *contract, spent string) []exchange {
	barred := c.newKey(map[string]any{"allowed_models": []string{"other"}})
	es := []exchange{
		{200, "POST", messagesPath, c.Key, messageBody("demo", "hello", `,"stream":true`), "", false},
		{200, "POST", messagesPath, c.Key, messageBody("demo", "hello", `,"temperature":0`), "", false},
		{200, "POST", messagesPath, c.Key, messageBody("demo", "hello", `,"temperature":0`), "", false},
		{200, "POST", messagesPath, "", messageBody("demo", "hello", ``), "X-API-Key: " + c.Key, false},
		{400, "POST", messagesPath, c.Key, `{"model":"demo","messages":[]}`, "", false},
		{400, "POST", messagesPath, c.Key, messageBody("demo", "hello", `,"stream":1`), "", false},
		{400, "POST", messagesPath, c.Key, messageBody("demo", "hello", `,"top_k":5`), "", true}, // OpenAI's dialect has none
		{409, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"409", ``), "", true},
		{422, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"422", ``), "", true},
		{502, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"403", ``), "", true},
		{502, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"500", ``), "", true},
		{529, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"503", ``), "", true},
		{504, "POST", messagesPath, c.Key, messageBody("up/m", refusing+"504", ``), "", true},
		{504, "POST", messagesPath, c.Key, messageBody("demo", "never asked", ``), "Cache-Control: only-if-cached", true},
	}
	for _, path := range []string{messagesPath, messagesPath + "/count_tokens"} {
		plain := messageBody("demo", "hello", "")
		es = append(es,
			exchange{200, "POST", path, c.Key, plain, "", false},
			exchange{400, "POST", path, c.Key, `{`, "", false},
			exchange{400, "POST", path, c.Key, `{"model":"demo"}`, "", false},
			exchange{401, "POST", path, "", plain, "", false},
			exchange{403, "POST", path, barred, plain, "", true},
			exchange{404, "POST", path, c.Key, messageBody("nope", "", ""), "", true},
			exchange{413, "POST", path, c.Key, plain + padding, "", true},
			exchange{415, "POST", path, c.Key, plain, "Content-Encoding: br", true},
			exchange{429, "POST", path, spent, plain, "", true},
		)
	}
	for _, path := range []string{"/v1/models", "/v1/models/demo"} {
		es = append(es, exchange{200, "GET", path, c.Key, "", "anthropic-version: 2023-06-01", false})
	}
	return es
}

func modelExchanges(c *contract, spent string) (es []exchange) {
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range []string{"/v1/models", "/v1/models/demo"} {
			es = append(es,
				exchange{200, method, path, c.Key, "", "", false},
				exchange{401, method, path, "", "", "", false},
				exchange{429, method, path, spent, "", "", true},
			)
		}
		es = append(es, exchange{404, method, "/v1/models/nope", c.Key, "", "", true})
	}
	return es
}

func healthExchanges() (es []exchange) {
	for _, path := range []string{"/v1/health", "/v1/ready", "/v1/live", "/v1/metrics"} {
		es = append(es, exchange{200, "GET", path, "", "", "", false}, exchange{200, "HEAD", path, "", "", "", false})
	}
	return append(es, exchange{200, "GET", "/v1/metrics", "", "", "Accept: application/openmetrics-text; version=1.0.0", false})
}

// holdKeys takes a key through its life.
func holdKeys(t *testing.T, c *contract) {
	const root = "/v1/api-keys/"
	var made struct{ ID string }
	full := `{"name":"ci","team":"a.b","limits":["10/1h",{"kind":"tokens","limit":5,"window":"30d"},"2concurrent"],"allowed_models":["demo"],"budget":null,"expires_at":"2099-12-31T23:59:59Z"}`
	if err := json.Unmarshal([]byte(c.hold(t, exchange{201, "POST", root, c.Admin, full, "", false})), &made); err != nil {
		t.Fatal(err)
	}
	key := root + made.ID
	es := []exchange{
		{201, "POST", root, "", `{}`, "X-API-Key: " + c.Admin, false},
		{200, "GET", root, c.Admin, "", "", false},
		{200, "GET", root + "?limit=1&after=" + made.ID, c.Admin, "", "", false},
		{422, "GET", root + "?limit=0", c.Admin, "", "", false},
		{422, "GET", root + "?after=key_none", c.Admin, "", "", true},
		{200, "GET", key, c.Admin, "", "", false},
		{200, "PATCH", key, c.Admin, `{"name":null,"active":false,"limits":[]}`, "", false},
		{422, "PATCH", key, c.Admin, `{"active":null}`, "", false},
		{200, "POST", key + "/activate", c.Admin, "", "", false},
		{200, "POST", key + "/rotate", c.Admin, "", "", false},
		{200, "POST", key + "/rotate", c.Admin, `{"grace":"10m"}`, "", false},
		{422, "POST", key + "/rotate", c.Admin, `{"grace":10}`, "", false},
		{422, "POST", key + "/rotate", c.Admin, `{"grace":"soon"}`, "", true},
		{422, "DELETE", key + "?purge=maybe", c.Admin, "", "", false},
		{200, "DELETE", key, c.Admin, "", "", false},
	}
	for _, fault := range []string{`{"nme":1}`, `{"name":""}`, `{"team":"a b"}`, `{"limits":["1000"]}`, `{"limits":[{"kind":"requests"}]}`, `{"allowed_models":"demo"}`, `{"budget":5}`} {
		es = append(es, exchange{422, "POST", root, c.Admin, fault, "", false}, exchange{422, "PATCH", key, c.Admin, fault, "", false})
	}
	for path, method := range map[string]string{root: "POST", key: "PATCH", key + "/rotate": "POST"} {
		es = append(es, exchange{400, method, path, c.Admin, `{`, "", false}, exchange{413, method, path, c.Admin, `{}` + padding, "", true})
	}
	for _, e := range []exchange{
		{0, "POST", root, "", `{}`, "", false}, {0, "GET", root, "", "", "", false}, {0, "GET", key, "", "", "", false}, {0, "PATCH", key, "", `{}`, "", false},
		{0, "DELETE", key, "", "", "", false}, {0, "POST", key + "/activate", "", "", "", false}, {0, "POST", key + "/rotate", "", "", "", false},
	} {
		e.status = 401
		es = append(es, e)
		e.key, e.unseen = c.Key, true
		es = append(es, e)
		if e.path != root {
			e.status, e.key, e.path = 404, c.Admin, strings.Replace(e.path, made.ID, "key_none", 1)
			es = append(es, e)
		}
	}
	for _, e := range append(es, exchange{204, "DELETE", key + "?purge=true", c.Admin, "", "", false}) {
		c.hold(t, e)
	}
}

// holdTeams lets a team and one of its keys live and end.
func holdTeams(t *testing.T, c *contract) {
	const root, team = "/v1/teams/", "/v1/teams/a.b"
	key := "/v1/api-keys/" + c.manage("POST", "", `{"team":"a.b"}`).ID
	for _, e := range []exchange{
		{201, "POST", root, c.Admin, `{"name":"a.b","limits":["10/1h",{"kind":"tokens","limit":5,"window":"30d"},"2concurrent"]}`, "", false},
		{201, "POST", root, "", `{"name":"free"}`, "X-API-Key: " + c.Admin, false},
		{409, "POST", root, c.Admin, `{"name":"a.b"}`, "", true},
		{422, "POST", root, c.Admin, `{}`, "", false},
		{422, "POST", root, c.Admin, `{"name":"a b"}`, "", false},
		{422, "POST", root, c.Admin, `{"name":".."}`, "", true},
		{422, "POST", root, c.Admin, `{"name":"c","active":false}`, "", false},
		{400, "POST", root, c.Admin, `{`, "", false},
		{413, "POST", root, c.Admin, `{"name":"c"}` + padding, "", true},
		{200, "GET", root, c.Admin, "", "", false},
		{200, "GET", root + "?limit=1&after=a", c.Admin, "", "", false},
		{422, "GET", root + "?limit=0", c.Admin, "", "", false},
		{200, "GET", team, c.Admin, "", "", false},
		{200, "PATCH", team, c.Admin, `{"limits":null,"active":false}`, "", false},
		{422, "PATCH", team, c.Admin, `{"name":"c"}`, "", false},
		{422, "PATCH", team, c.Admin, `{"active":null}`, "", false},
		{400, "PATCH", team, c.Admin, `{`, "", false},
		{413, "PATCH", team, c.Admin, `{}` + padding, "", true},
		{401, "POST", root, "", `{"name":"c"}`, "", false},
		{401, "GET", root, c.Key, "", "", true},
		{401, "GET", team, c.Key, "", "", true},
		{401, "PATCH", team, c.Key, `{}`, "", true},
		{401, "DELETE", team, c.Key, "", "", true},
		{404, "GET", root + "none", c.Admin, "", "", true},
		{404, "PATCH", root + "none", c.Admin, `{}`, "", true},
		{404, "DELETE", root + "none", c.Admin, "", "", true},
		{409, "DELETE", team, c.Admin, "", "", true},
		{200, "DELETE", key, c.Admin, "", "", false},
		{204, "DELETE", team, c.Admin, "", "", false},
	} {
		c.hold(t, e)
	}
}

// outsideExchanges are requests for what no operation has, by the response that answers them.
func outsideExchanges(c *contract) map[string][]exchange {
	return map[string][]exchange{
		"NotFound":                  {{404, "GET", "/v1/analyze/nope", c.Key, "", "", false}},
		"Unauthenticated":           {{401, "GET", "/v1/analyze/nope", "", "", "", false}},
		"OpenAINotFound":            {{404, "GET", "/v1/nope", c.Key, "", "", false}, {404, "POST", "/", c.Key, "{}", "", false}},
		"AnthropicNotFound":         {{404, "POST", messagesPath + "/batches", c.Key, "{}", "", false}, {404, "GET", "/v1/files", c.Key, "", "anthropic-version: 2023-06-01", false}},
		"GoogleNotFound":            {{404, "GET", "/v1beta/nope", c.Key, "", "", false}, {404, "POST", contentPath("demo", "predict"), c.Key, "{}", "", false}, {404, "GET", "/v1/nope", c.Key, "", "X-Goog-Api-Key: " + c.Key, false}},
		"GoogleMethodNotAllowed":    {{405, "GET", contentPath("demo", "generateContent"), c.Key, "", "", false}},
		"AnthropicMethodNotAllowed": {{405, "GET", messagesPath, c.Key, "", "", false}},
		"KeyNotFound":               {{404, "GET", "/v1/api-keys/a/b", c.Admin, "", "", false}},
		"MethodNotAllowed":          {{405, "GET", "/v1/analyze/", c.Key, "", "", false}, {405, "POST", "/v1/analyze/cache/stats", c.Key, "{}", "", false}, {405, "POST", "/v1/live", "", "{}", "", false}},
		"OpenAIMethodNotAllowed":    {{405, "GET", chatPath, c.Key, "", "", false}, {405, "DELETE", "/v1/models/demo", c.Key, "", "", false}},
		"KeysMethodNotAllowed":      {{405, "PUT", "/v1/api-keys/", c.Admin, "{}", "", false}},
	}
}
