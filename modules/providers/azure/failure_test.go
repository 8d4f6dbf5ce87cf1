package azure

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

// censored is how Azure refuses a prompt.
const censored = `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,` +
	`"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"violence":{"filtered":true,"severity":"high"}}}}}`

func TestRefusalsAreToldInTheGatewaysTerms(t *testing.T) {
	refused := func(code string) string { return `{"error":{"code":"` + code + `","message":"its own words"}}` }
	for _, tt := range []struct {
		name      string
		status    int
		body      string
		kind      dialect.Kind
		code      string
		retryable bool
		passes    bool // the body goes to a client of the dialect as it is
	}{
		{"a filtered prompt", 400, censored, dialect.InvalidRequest, "content_filter", false, true},
		{"a wrong key", 401, refused("401"), dialect.UpstreamAuth, "", false, false},
		{"a key without the right", 403, refused("PermissionDenied"), dialect.UpstreamAuth, "", false, false},
		{"no such deployment", 404, refused("DeploymentNotFound"), dialect.ModelNotFound, "DeploymentNotFound", false, true},
		{"no such path", 404, refused("404"), dialect.NotFound, "404", false, true},
		{"a limit", 429, refused("429"), dialect.RateLimit, "429", true, false},
		{"too much to do", 503, refused("ServiceUnavailable"), dialect.Unavailable, "ServiceUnavailable", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, providertest.Serve(t, providertest.Says(tt.status, "application/json", tt.body)), nil)
			for _, stream := range []bool{false, true} {
				e := failure(t, p, ask(stream))
				if e.Kind != tt.kind || e.Code != tt.code || e.Retryable != tt.retryable || (string(e.Body) == tt.body) != tt.passes {
					t.Errorf("stream %t: kind %s, code %q, retryable %t, body %s", stream, e.Kind, e.Code, e.Retryable, e.Body)
				}
			}
		})
	}
	p := newProvider(t, providertest.Serve(t, resource), func(p *Provider) { p.APIKey = "{env.HOME}" })
	if e := failure(t, p, ask(false)); e.Kind != dialect.UpstreamAuth {
		t.Errorf("with another key: %v", e)
	}
	a := ask(false)
	a.Operation = dialect.CountTokens
	if e := failure(t, p, a); e.Kind != dialect.InvalidRequest {
		t.Errorf("an operation that there is not: %v", e)
	}
	a = ask(false)
	a.Model = "other"
	if e := failure(t, p, a); e.Kind != dialect.ModelNotFound {
		t.Errorf("a model that there is not: %v", e)
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for input, fails := range map[string]string{
		"azure":                                  "",
		"azure x":                                "wrong argument count",
		"azure {\n colour red\n}":                "unrecognized subdirective",
		"azure {\n deployment\n}":                "wrong argument count",
		"azure {\n deployment a b c\n}":          "wrong argument count",
		"azure {\n token a\n token b\n}":         "twice",
		"azure {\n idle_timeout soon\n}":         "no duration",
		"azure {\n api_version v1\n endpoint\n}": "wrong argument count",
	} {
		err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%q: the error is %v, want %q", input, err, fails)
		}
	}
	var p Provider
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`azure {
		endpoint https://a.openai.azure.com https://b.openai.azure.com
		api_version 2024-10-21
		api_key {env.X}
		token {env.Y}
		deployment a
		deployment b c
		default_model b
		connect_timeout 1s
		first_token_timeout 2s
		idle_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Endpoints) != 2 || p.Version != "2024-10-21" || p.APIKey != "{env.X}" || p.Token != "{env.Y}" || len(p.Deployments) != 2 ||
		p.Deployments[0] != (Deployment{Model: "a"}) || p.Deployments[1] != (Deployment{"b", "c"}) || p.Default != "b" ||
		p.ConnectTimeout != caddy.Duration(time.Second) || p.FirstTokenTimeout != caddy.Duration(2*time.Second) || p.IdleTimeout != caddy.Duration(3*time.Second) {
		t.Errorf("the provider is %+v", &p)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	t.Setenv("AZURE_OPENAI_ENDPOINT", "")
	t.Setenv("AZURE_OPENAI_API_KEY", "k")
	here := []string{"https://x.openai.azure.com"}
	for fails, p := range map[string]*Provider{
		"is empty; set it, or write":  {},
		"is no address":               {Endpoints: []string{"x.openai.azure.com"}},
		"is no version":               {Endpoints: here, Version: "latest"},
		"give one of them":            {Endpoints: here, APIKey: "k", Token: "t"},
		"token: {env.NOBODY_SETS_IT}": {Endpoints: here, Token: "{env.NOBODY_SETS_IT}"},
		"is named twice":              {Endpoints: here, Deployments: []Deployment{{Model: "a"}, {Model: "a", Name: "b"}}},
		"name is missing":             {Endpoints: here, Deployments: []Deployment{{Name: "b"}}},
		"none of the deployments":     {Endpoints: here, Deployments: []Deployment{{Model: "a"}}, Default: "b"},
	} {
		err := p.Provision(caddy.Context{})
		if err == nil {
			err = p.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), fails) {
			t.Errorf("the error is %v, want %q", err, fails)
		}
	}
}
