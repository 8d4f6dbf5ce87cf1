package main

import (
	"context"
	"encoding/json"
	"errors"
	"go/scanner"
	"go/token"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/openmetrics-text", openapi3filter.PlainBodyDecoder)
}

// document is docs/openapi.yaml.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// trim takes the slash off a path's end, where it says nothing.
func trim(path string) string { return strings.TrimSuffix(path, "/") }

func TestOpenAPIHasEverySurface(t *testing.T) {
	paths := document(t).Paths
	source, err := os.ReadFile("../modules/gateway/surface.go")
	if err != nil {
		t.Fatal(err)
	}
	for path := range literals(source) {
		if !strings.HasPrefix(path, "/v1") {
			continue
		}
		if !slices.ContainsFunc(paths.Keys(), func(documented string) bool {
			return trim(documented) == trim(path) || strings.HasSuffix(path, "/") && strings.HasPrefix(documented, path)
		}) {
			t.Errorf("the gateway has %s, and docs/openapi.yaml does not", path)
		}
	}
	for _, path := range paths.Keys() {
		if gateway.SurfaceOf(path).Name == gateway.Other.Name {
			t.Errorf("docs/openapi.yaml has %s, and the gateway does not", path)
		}
	}
}

// literals gives the strings of a Go file.
func literals(source []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var s scanner.Scanner
		s.Init(token.NewFileSet().AddFile("", -1, len(source)), source, nil, 0)
		for {
			_, kind, text := s.Scan()
			if kind == token.EOF {
				return
			}
			if value, err := strconv.Unquote(text); kind == token.STRING && err == nil && !yield(value) {
				return
			}
		}
	}
}

// contract holds a running gateway to the document.
type contract struct {
	*process
	doc    *openapi3.T
	router routers.Router
	seen   map[string]bool // the documented answers that were met, as in "POST /v1/analyze/ 200"
}

var filterOptions = &openapi3filter.Options{
	MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true,
	AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
		name := in.SecurityScheme.Name
		if in.SecurityScheme.Type == "http" {
			name = "Authorization"
		}
		sent := in.RequestValidationInput.Request.Header.Get(name)
		if in.SecurityScheme.In == "query" {
			sent = in.RequestValidationInput.Request.URL.Query().Get(name)
		}
		if sent == "" {
			return errors.New("the credential is missing")
		}
		return nil
	},
}

// hold makes an exchange and checks both of its halves against the document.
func (c *contract) hold(t *testing.T, e exchange) string {
	t.Helper()
	req := e.request(t, c.URL)
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	asked := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: filterOptions}
	fault := openapi3filter.ValidateRequest(t.Context(), asked)
	if valid := e.status < 400 || e.unseen; valid != (fault == nil) {
		t.Errorf("%s: the document finds this wrong with the request: %v", e, fault)
	}
	body, ok := c.answer(t, e, asked)
	if !ok {
		return body
	}
	documented := strconv.Itoa(e.status)
	if route.Operation.Responses.Value(documented) == nil {
		documented = documented[:1] + "XX"
	}
	c.seen[e.method+" "+route.Path+" "+documented] = true
	if e.status == http.StatusOK {
		c.holdContent(t, e, route.Path, body)
	}
	return body
}

// outside makes an exchange that is no operation's. The answer is that of the document's component.
func (c *contract) outside(t *testing.T, e exchange, component string) {
	t.Helper()
	documented, ok := c.doc.Components.Responses[component]
	if !ok {
		t.Fatalf("docs/openapi.yaml has no response %s", component)
	}
	operation := &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(e.status, documented))}
	c.answer(t, e, &openapi3filter.RequestValidationInput{
		Request: e.request(t, c.URL), Route: &routers.Route{Spec: c.doc, Operation: operation}, Options: filterOptions,
	})
}

// answer asks the gateway, and checks what it says against the route of asked. It is false where the status is another.
func (c *contract) answer(t *testing.T, e exchange, asked *openapi3filter.RequestValidationInput) (body string, ok bool) {
	t.Helper()
	resp, err := client.Do(e.request(t, c.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != e.status {
		t.Errorf("%s: answered %d %s", e, resp.StatusCode, text)
		return string(text), false
	}
	answered := &openapi3filter.ResponseValidationInput{RequestValidationInput: asked, Status: resp.StatusCode, Header: resp.Header, Options: filterOptions}
	answered.SetBodyBytes(text)
	if err := openapi3filter.ValidateResponse(t.Context(), answered); err != nil {
		t.Errorf("%s: %v\n%s", e, err, text)
	}
	if documented := asked.Route.Operation.Responses.Status(e.status); documented != nil {
		undocumented(t, e, resp.Header, documented.Value.Headers)
	}
	return string(text), true
}

// plainHeaders are those that any HTTP server's answer may have.
var plainHeaders = []string{"Content-Length", "Content-Type", "Date", "Server", "Vary"}

// undocumented finds headers that the document does not have.
func undocumented(t *testing.T, e exchange, got http.Header, documented openapi3.Headers) {
	t.Helper()
	for name := range got {
		if !slices.Contains(plainHeaders, name) && !slices.ContainsFunc(slices.Collect(maps.Keys(documented)), func(known string) bool {
			return http.CanonicalHeaderKey(known) == name
		}) {
			t.Errorf("%s: docs/openapi.yaml does not have the header %s of this answer", e, name)
		}
	}
}

// holdContent checks what the document says beside a body's schema: events, data without a schema, and slashes.
func (c *contract) holdContent(t *testing.T, e exchange, path, body string) {
	t.Helper()
	for data := range strings.SplitSeq(body, "data: ") {
		if data = strings.TrimSpace(data); path == chatPath && strings.Contains(e.body, `"stream":true`) && data != "" && data != "[DONE]" {
			c.fits(t, "ChatCompletionChunk", data)
		}
		if data, _, _ = strings.Cut(data, "\n"); path == responsesPath && strings.Contains(e.body, `"stream":true`) && strings.HasPrefix(data, "{") {
			c.fits(t, "ResponseEvent", data)
			if response := gjson.Get(data, "response"); gjson.Get(data, "type").Str == "response.completed" {
				c.fits(t, "Response", response.Raw)
			}
		}
	}
	if path == "/v1/analyze/" && !strings.Contains(e.body, "schema_definition") {
		var answer struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		c.fits(t, "Analysis", string(answer.Data))
	}
	if e.method == http.MethodGet && !strings.Contains(e.path, "?") {
		other := trim(e.path)
		if other == e.path {
			other += "/"
		}
		if got := c.do(e.method, other, e.key, ""); got.Status != e.status {
			t.Errorf("%s is answered with %d, and %s with %d", e.path, e.status, other, got.Status)
		}
	}
}

func (c *contract) fits(t *testing.T, schema, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if err := c.doc.Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

func TestOpenAPIDescribesTheGateway(t *testing.T) {
	config := strings.Replace(standard(t), "llm_gateway {", "llm_gateway {\n\t\tmax_body 16KiB\n\t\tprovider demo\n"+refuser(t).provider("models m", "surfaces chat embeddings completions images audio moderations files"), 1)
	c := &contract{process: start(t, config, upKey), doc: document(t), seen: make(map[string]bool)}
	c.doc.Servers = openapi3.Servers{{URL: c.URL}}
	var err error
	if c.router, err = gorillamux.NewRouter(c.doc); err != nil {
		t.Fatal(err)
	}
	spent := c.newKey(map[string]any{"limits": []string{"1/1h", "100000tokens/1h", "2concurrent"}})
	c.do("GET", "/v1/models", spent, "")

	for _, e := range slices.Concat(analyzeExchanges(c, spent), openAIExchanges(c, spent), azureExchanges(c), passedExchanges(t, c, spent), fileExchanges(t, c, spent), anthropicExchanges(c, spent), googleExchanges(c, spent), modelExchanges(c, spent), healthExchanges()) {
		c.hold(t, e)
	}
	holdKeys(t, c)
	holdTeams(t, c)
	for component, es := range outsideExchanges(c) {
		for _, e := range es {
			c.outside(t, e, component)
		}
	}

	for path, item := range c.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if answer := method + " " + path + " " + status; !strings.HasPrefix(status, "5") && !c.seen[answer] {
					t.Errorf("docs/openapi.yaml documents %s, which no request of this test met", answer)
				}
			}
		}
	}
}
