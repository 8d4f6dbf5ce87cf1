package vertex

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/exchange"
)

func TestRefusalsAreToldInTheGatewaysTerms(t *testing.T) {
	g := newGoogle(t)
	own := func(status int, typ string) http.HandlerFunc {
		return says(status, "application/json", `{"type":"error","error":{"type":"`+typ+`","message":"its own words"}}`)
	}
	for _, tt := range []struct {
		name       string
		publishers []string
		answer     http.HandlerFunc
		kind       dialect.Kind
		retryable  bool
	}{
		{"Vertex AI calls it wrong", []string{Google, Anthropic}, refuse(400, "INVALID_ARGUMENT", "no"), dialect.InvalidRequest, false},
		{"no right", []string{Google, Anthropic}, refuse(403, "PERMISSION_DENIED", "no"), dialect.UpstreamAuth, false},
		{"no such model", []string{Google, Anthropic}, refuse(404, "NOT_FOUND", "Publisher Model `x` was not found"), dialect.ModelNotFound, false},
		{"a quota", []string{Google, Anthropic}, refuse(429, "RESOURCE_EXHAUSTED", "Resource exhausted"), dialect.RateLimit, true},
		{"in an array", []string{Google, Anthropic}, says(429, "application/json", `[{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED"}}]`), dialect.RateLimit, true},
		{"down", []string{Google, Anthropic}, refuse(503, "UNAVAILABLE", "later"), dialect.Unavailable, true},
		{"a proxy's page", []string{Google, Anthropic}, says(502, "text/html", "<html>"), dialect.UpstreamFailed, true},
		{"Anthropic calls it wrong", []string{Anthropic}, own(400, "invalid_request_error"), dialect.InvalidRequest, false},
		{"Anthropic has too much to do", []string{Anthropic}, own(529, "overloaded_error"), dialect.Unavailable, true},
		{"overloaded with 200", []string{Anthropic}, own(200, "overloaded_error"), dialect.UpstreamFailed, true},
	} {
		base := g.serve(t, tt.answer)
		for _, publisher := range tt.publishers {
			p := g.provider(t, publisher, func(p *Provider) { p.BaseURLs = []string{base} })
			for _, stream := range []bool{false, true} {
				if e := failing(t, p, ask(publisher, stream)); e.Kind != tt.kind || e.Retryable != tt.retryable {
					t.Errorf("%s, %s, stream %t: kind %s, retryable %t", tt.name, publisher, stream, e.Kind, e.Retryable)
				}
			}
		}
	}
	for _, publisher := range []string{Google, Anthropic} {
		a := ask(publisher, false)
		a.Operation = dialect.Embeddings
		if e := failing(t, g.provider(t, publisher, nil), a); e.Kind != dialect.InvalidRequest {
			t.Errorf("an operation that %s has not here: %v", publisher, e)
		}
	}
}

func TestCallsOfOtherSurfacesThanChatPassVertexOver(t *testing.T) {
	up := &gateway.Upstream{Name: "vertex", Provider: new(Provider)}
	for _, c := range gateway.Capabilities() {
		if want := c == gateway.CanChat || c == gateway.CanResponses; up.Can(c) != want { // responses are translated into chat
			t.Errorf("%s are asked of Vertex AI: %t", c, !want)
		}
	}
}

func TestATokenServesAllCalls(t *testing.T) {
	g := newGoogle(t)
	p := g.provider(t, Google, nil)
	if n := g.tokens.Load(); n != 0 {
		t.Errorf("setting up has asked for %d tokens", n)
	}
	for range 5 {
		if _, err := p.Send(t.Context(), ask(Google, false)); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.tokens.Load(); n != 1 {
		t.Errorf("asked was for %d tokens", n)
	}
}

func TestAKeyThatIsRefusedIsToldWithoutIt(t *testing.T) {
	g := newGoogle(t)
	g.writeFile(t, newKey())
	e := failing(t, g.provider(t, Google, nil), ask(Google, false))
	if e.Kind != dialect.UpstreamAuth || !e.Retryable || !strings.Contains(e.Error(), "invalid_grant") || strings.Contains(e.Message, "invalid_grant") {
		t.Errorf("the error is %v", e)
	}
	p := g.provider(t, Google, nil)
	if err := os.Remove(g.file); err != nil {
		t.Fatal(err)
	}
	if e := failing(t, p, ask(Google, false)); e.Kind != dialect.UpstreamAuth || !e.Retryable {
		t.Errorf("without its file the error is %v", e)
	}
}

func TestTheMachinesOwnCredentialIsItsMetadataServers(t *testing.T) {
	g := newGoogle(t)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if r.Header.Get("Metadata-Flavor") != "Google" || !strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") {
			says(404, "text/html", "")(w, r)
			return
		}
		says(200, "application/json", `{"access_token":"`+canary+`-metadata","token_type":"Bearer","expires_in":3599}`)(w, r)
	}))
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	t.Setenv("HOME", t.TempDir())
	p := g.provider(t, Google, func(p *Provider) { p.CredentialsFile, p.Project = "", "my-project" })
	if _, err := p.Send(t.Context(), ask(Google, false)); err != nil {
		t.Error(err)
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for input, fails := range map[string]string{
		"vertex":                              "",
		"vertex x":                            "wrong argument count",
		"vertex {\n colour red\n}":            "unrecognized subdirective",
		"vertex {\n project\n}":               "wrong argument count",
		"vertex {\n project a\n project b\n}": "twice",
		"vertex {\n idle_timeout soon\n}":     "no duration",
	} {
		err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%q: the error is %v, want %q", input, err, fails)
		}
	}
	var p Provider
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`vertex {
		publisher anthropic
		project a
		location b
		credentials_file c
		base_url https://d https://e
		models f g
		default_model g
		connect_timeout 1s
		first_token_timeout 2s
		idle_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Publisher != Anthropic || p.Project != "a" || p.Location != "b" || p.CredentialsFile != "c" || len(p.BaseURLs) != 2 || len(p.Names) != 2 || p.Default != "g" ||
		p.ConnectTimeout != caddy.Duration(time.Second) || p.FirstTokenTimeout != caddy.Duration(2*time.Second) || p.IdleTimeout != caddy.Duration(3*time.Second) {
		t.Errorf("the provider is %+v", &p)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("PRIVATE KEY"), 0o600); err != nil {
		t.Fatal(err)
	}
	for fails, p := range map[string]*Provider{
		"is empty":              {Project: "p", CredentialsFile: "{env.NOBODY_SETS_IT}"},
		"no such file":          {Project: "p", CredentialsFile: nonsense + "-none"},
		"holds no JSON":         {Project: "p", CredentialsFile: nonsense},
		"project: there is":     {},
		"none of google and an": {Project: "p", Publisher: "meta"},
		"is no address":         {Project: "p", BaseURLs: []string{"x"}},
		"none of models":        {Project: "p", Served: exchange.Served{Names: []string{"a"}, Default: "b"}},
	} {
		err := p.Provision(caddy.Context{})
		if err == nil {
			err = p.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), fails) || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("the error is %v, want %q", err, fails)
		}
		p.Cleanup() //nolint:errcheck // never fails
	}
}

func TestTheLocationSaysWhereTheModelsAre(t *testing.T) {
	for location, want := range map[string]string{
		"": "https://aiplatform.googleapis.com", "eu": "https://aiplatform.eu.rep.googleapis.com", "europe-west4": "https://europe-west4-aiplatform.googleapis.com",
	} {
		p := &Provider{Project: "p", Location: location}
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if got := serviceOf(p.Location); got != want {
			t.Errorf("%q is at %s, want %s", location, got, want)
		}
		p.Cleanup() //nolint:errcheck // never fails
	}
	for _, tt := range []struct {
		publisher, model string
		serves           bool
	}{{Google, "gemini-2.5-pro", true}, {Google, "models/gemini-2.5-pro", true}, {Google, "claude-sonnet-4-5", false}, {Anthropic, "claude-sonnet-4-5@20250929", true}, {Anthropic, "gemini-2.5-pro", false}} {
		p := &Provider{Publisher: tt.publisher}
		if p.Serves(tt.model) != tt.serves {
			t.Errorf("%s serves %s: %t", tt.publisher, tt.model, !tt.serves)
		}
	}
}
