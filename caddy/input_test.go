package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Bad input gets a clear error in the caller's own shape, and the gateway goes on.
func TestBadInputGetsAClearErrorInTheCallersShape(t *testing.T) {
	p := start(t, standard(t))
	flipped := p.Key[:len(p.Key)-1] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", p.Key[len(p.Key)-1])^1)])
	long := strings.Repeat("x", 10_001)
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	messages := `"messages":[{"role":"user","content":"hi"}]`
	for _, c := range []struct {
		name, path, key, body string
		headers               []string
		status                int
		word                  string // the error's type on our own surface, its code on OpenAI's
		field                 string
	}{
		{"no body", "/v1/analyze/", p.Key, "", nil, 400, "invalid_json", ""},
		{"truncated JSON", "/v1/analyze/", p.Key, `{"prompt":"hi`, nil, 400, "invalid_json", ""},
		{"an array", "/v1/analyze/", p.Key, `["prompt"]`, nil, 400, "invalid_json", ""},
		{"NUL byte", "/v1/analyze/", p.Key, "{\"prompt\":\"a\x00b\"}", nil, 400, "invalid_json", ""},
		{"not UTF-8", "/v1/analyze/", p.Key, "{\"prompt\":\"a\xff\"}", nil, 400, "invalid_json", ""},
		{"nested too deeply", "/v1/analyze/", p.Key, `{"prompt":"a","metadata":{"a":` + deep + `}}`, nil, 400, "invalid_json", ""},
		{"no prompt", "/v1/analyze/", p.Key, `{}`, nil, 422, "validation_error", "prompt"},
		{"blank prompt", "/v1/analyze/", p.Key, `{"prompt":"  \n "}`, nil, 422, "validation_error", "prompt"},
		{"prompt of 10,001 characters", "/v1/analyze/", p.Key, `{"prompt":"` + long + `"}`, nil, 422, "validation_error", "prompt"},
		{"prompt of a wrong type", "/v1/analyze/", p.Key, `{"prompt":7}`, nil, 422, "validation_error", "prompt"},
		{"temperature of a wrong type", "/v1/analyze/", p.Key, `{"prompt":"a","temperature":"hot"}`, nil, 422, "validation_error", "temperature"},
		{"temperature beyond its range", "/v1/analyze/", p.Key, `{"prompt":"a","temperature":2.01}`, nil, 422, "validation_error", "temperature"},
		{"max_tokens of 49", "/v1/analyze/", p.Key, `{"prompt":"a","max_tokens":49}`, nil, 422, "validation_error", "max_tokens"},
		{"cache_ttl of more than a day", "/v1/analyze/", p.Key, `{"prompt":"a","cache_ttl":86401}`, nil, 422, "validation_error", "cache_ttl"},
		{"unknown output format", "/v1/analyze/", p.Key, `{"prompt":"a","output_format":"yaml"}`, nil, 422, "validation_error", "output_format"},
		{"unknown provider", "/v1/analyze/", p.Key, `{"prompt":"a","llm_provider":"nobody"}`, nil, 422, "validation_error", "llm_provider"},
		{"invalid JSON Schema", "/v1/analyze/", p.Key, `{"prompt":"a","schema_definition":{"type":"nonsense"}}`, nil, 422, "validation_error", "schema_definition"},
		{"schema that is no object", "/v1/analyze/", p.Key, `{"prompt":"a","schema_definition":[]}`, nil, 422, "validation_error", "schema_definition"},
		{"no key", "/v1/analyze/", "", `{"prompt":"a"}`, nil, 401, "authentication_error", ""},
		{"key with a flipped bit", "/v1/analyze/", flipped, `{"prompt":"a"}`, nil, 401, "authentication_error", ""},
		{"malformed key", "/v1/analyze/", "sp_short", `{"prompt":"a"}`, nil, 401, "authentication_error", ""},
		{"two credentials", "/v1/analyze/", p.Key, `{"prompt":"a"}`, []string{"X-API-Key", flipped}, 401, "authentication_error", ""},
		{"the same header twice", "/v1/analyze/", "", `{"prompt":"a"}`, []string{"X-API-Key", p.Key, "X-API-Key", flipped}, 401, "authentication_error", ""},
		{"no such path", "/v1/analyze/nothing", p.Key, `{}`, nil, 404, "not_found", ""},

		{"no body", chatPath, p.Key, "", nil, 400, "", ""},
		{"truncated JSON", chatPath, p.Key, `{"model":"demo",`, nil, 400, "", ""},
		{"NUL byte", chatPath, p.Key, "{\"model\":\"demo\x00\"," + messages + "}", nil, 400, "", ""},
		{"not UTF-8", chatPath, p.Key, "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", nil, 400, "", ""},
		{"unknown model", chatPath, p.Key, `{"model":"no-such-model",` + messages + `}`, nil, 404, "model_not_found", "model"},
		{"no model", chatPath, p.Key, `{` + messages + `}`, nil, 400, "", "model"},
		{"model of a wrong type", chatPath, p.Key, `{"model":["demo"],` + messages + `}`, nil, 400, "", "model"},
		{"no messages", chatPath, p.Key, `{"model":"demo"}`, nil, 400, "", "messages"},
		{"stream of a wrong type", chatPath, p.Key, `{"model":"demo","stream":"yes",` + messages + `}`, nil, 400, "", "stream"},
		{"model twice", chatPath, p.Key, `{"model":"demo","model":"other",` + messages + `}`, nil, 400, "", "model"},
		{"model in two cases", chatPath, p.Key, `{"model":"demo","Model":"other",` + messages + `}`, nil, 400, "", "Model"},
		{"key with a flipped bit", chatPath, flipped, `{"model":"demo",` + messages + `}`, nil, 401, "invalid_api_key", ""},
		{"compressed body", chatPath, p.Key, `{"model":"demo",` + messages + `}`, []string{"Content-Encoding", "gzip"}, 415, "", ""},
		{"no input", "/v1/embeddings", p.Key, `{"model":"demo-embedding"}`, nil, 400, "", "input"},
		{"no such path", "/v1/nothing", p.Key, `{}`, nil, 404, "", ""},
	} {
		t.Run(strings.Trim(c.path, "/")+"/"+c.name, func(t *testing.T) {
			checkError(t, p.do("POST", c.path, c.key, c.body, c.headers...), c.path, c.status, c.word, c.field)
		})
	}
	if got := p.do("POST", "/v1/analyze/", p.Key, `{"prompt":"still here"}`); got.Status != 200 {
		t.Errorf("after all of that a good request got %d %s", got.Status, got.Body)
	}
}

// checkError checks status, shape, word and field of an error.
func checkError(t *testing.T, got response, path string, status int, word, field string) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status %d, want %d: %s", got.Status, status, got.Body)
	}
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Request-Id") == "" {
		t.Errorf("headers %v", got.Header)
	}
	var body struct {
		Error struct {
			Type, Message, Field string
			Param, Code          *string
		}
		RequestID string `json:"request_id"`
		Timestamp string
	}
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatalf("the error does not parse: %v in %s", err, got.Body)
	}
	if body.Error.Message == "" || body.Error.Type == "" {
		t.Errorf("the error says nothing: %s", got.Body)
	}
	if strings.HasPrefix(path, "/v1/analyze") {
		if body.Error.Type != word || body.Error.Field != field {
			t.Errorf("type %q and field %q, want %q and %q: %s", body.Error.Type, body.Error.Field, word, field, got.Body)
		}
		if body.RequestID != got.Header.Get("X-Request-Id") {
			t.Errorf("request_id %q is not the header's", body.RequestID)
		}
		if _, err := time.Parse(time.RFC3339, body.Timestamp); err != nil {
			t.Error(err)
		}
		return
	}
	if code := deref(body.Error.Code); word != "" && code != word {
		t.Errorf("code %q, want %q: %s", code, word, got.Body)
	}
	if param := deref(body.Error.Param); param != field {
		t.Errorf("param %q, want %q: %s", param, field, got.Body)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Case 40 and the contract: 32 MiB pass, more is refused in the caller's shape, with and without a length ahead.
func TestBodiesPassUpTo32MiB(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		answerWhole(w, answerText(fmt.Sprint(len(body)/1000)+strings.Repeat("y", 20<<20)))
	})
	p := start(t, site(up.provider(), "llm"), upKey)
	body := func(size int) string {
		head, tail := `{"model":"m","messages":[{"role":"user","content":"`, `"}]}`
		return head + strings.Repeat("a", size-len(head)-len(tail)) + tail
	}
	if got := p.do("POST", chatPath, p.Key, body(32<<20)); got.Status != 200 || len(got.Body) < 20<<20 {
		t.Errorf("32 MiB got %d and %d bytes", got.Status, len(got.Body))
	}
	checkError(t, p.do("POST", chatPath, p.Key, body(33<<20)), chatPath, 413, "", "")
	checkError(t, p.do("POST", "/v1/analyze/", p.Key, body(33<<20)), "/v1/analyze/", 413, "request_too_large", "")

	req, err := http.NewRequest("POST", p.URL+chatPath, struct{ *strings.Reader }{strings.NewReader(body(33 << 20))})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	req.Header.Set("Authorization", "Bearer "+p.Key)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("33 MiB without a length got %d", resp.StatusCode)
	}
	if len(up.requests()) != 1 {
		t.Errorf("the upstream saw %d requests", len(up.requests()))
	}
}

func TestAHeaderOfAMegabyteIsRefused(t *testing.T) {
	p := start(t, standard(t))
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { // the server may close before it has read all
		fmt.Fprintf(conn, "GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("h", 1<<20))
	}()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestWrongMethodsAreToldTheRightOne(t *testing.T) {
	p := start(t, standard(t))
	for path, allow := range map[string]string{chatPath: "POST", "/v1/embeddings": "POST", "/v1/analyze/": "POST", "/v1/models": "GET", "/v1/analyze/providers": "GET"} {
		got := p.do("PUT", path, p.Key, "{}")
		if got.Status != 405 || !strings.Contains(got.Header.Get("Allow"), allow) {
			t.Errorf("PUT %s: %d, Allow %q: %s", path, got.Status, got.Header.Get("Allow"), got.Body)
		}
	}
}

// An error is a Caddy handler error, so a site's own error routes can take over.
func TestErrorRoutesOfTheSiteTakeOver(t *testing.T) {
	p := start(t, site("\t\tprovider demo", "llm\nhandle_errors {\n\theader X-Kind {http.llm.error}\n\trespond \"ours: {err.status_code}\"\n}"))
	got := p.do("POST", chatPath, "", chatBody("demo", ""))
	if got.Status != 401 || got.Body != "ours: 401" || got.Header.Get("X-Kind") != "authentication_error" {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Body)
	}
}

func TestPagesOfConfiguredOriginsMayCall(t *testing.T) {
	p := start(t, site("\t\tprovider demo\n\t\tcors https://app.example.com", "llm"))
	preflight := p.do("OPTIONS", chatPath, "", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	if preflight.Status != 204 || preflight.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		!strings.Contains(preflight.Header.Get("Access-Control-Allow-Headers"), "authorization") || !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %d %v", preflight.Status, preflight.Header)
	}
	for origin, allowed := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
		for _, key := range []string{p.Key, ""} { // a page has to be able to read an error too
			got := p.do("POST", chatPath, key, chatBody("demo", ""), "Origin", origin)
			if got.Header.Get("Access-Control-Allow-Origin") != allowed || got.Header.Get("Vary") != "Origin" {
				t.Errorf("%s: %v", origin, got.Header)
			}
		}
	}
	if got := p.do("OPTIONS", chatPath, "", "", "Origin", "https://evil.example.com", "Access-Control-Request-Method", "POST"); got.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("a stranger's preflight: %v", got.Header)
	}
}
