package openai

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestModelsThatChatComeFirst(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("asked was %s %s %v", r.Method, r.URL, r.Header)
		}
		says(200, "application/json", `{"data":[{"id":"text-embedding-3"},{"id":"whisper-1"},{"id":"b","created":3,"owned_by":"me"},{"id":""},{"id":"A-Embed"},{"id":"a"}]}`)(w, r)
	})
	models, err := newProvider(t, srv.URL+"/v1", func(p *Provider) { p.APIKey = "k" }).Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range models {
		ids = append(ids, m.ID)
	}
	if got := strings.Join(ids, " "); got != "b a text-embedding-3 whisper-1 A-Embed" {
		t.Errorf("the order is %s", got)
	}
	if models[0].Created != 3 || models[0].OwnedBy != "me" {
		t.Errorf("the first is %+v", models[0])
	}
}

func TestModelsOfTheConfigAreListedWithoutTheNetwork(t *testing.T) {
	p := newProvider(t, "http://127.0.0.1:1", func(p *Provider) { p.Names = []string{"z", "a"} })
	models, err := p.Models(t.Context())
	if err != nil || len(models) != 2 || models[0].ID != "z" || models[1].ID != "a" {
		t.Errorf("the models are %v, %v", models, err)
	}
	if p.DefaultModel() != "z" || !p.Serves("a") || p.Serves("b") || !p.NamesModel("a") || p.NamesModel("b") {
		t.Error("the provider does not know its models")
	}
}

func TestModelsThatCannotBeListed(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"refused": says(401, "application/json", `{"error":{"message":"no"}}`),
		"HTML":    says(200, "text/html", "<html>"),
		"cut off": says(200, "application/json", `{"data":[{"id":"a"}`),
	} {
		t.Run(name, func(t *testing.T) {
			if models, err := newProvider(t, serve(t, h).URL, nil).Models(t.Context()); err == nil {
				t.Errorf("the models are %v", models)
			}
		})
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for _, tt := range []struct{ name, input, fails string }{
		{"bare", "openai", ""},
		{"argument", "openai x", "wrong argument count"},
		{"unknown", "openai {\n colour red\n}", "unrecognized subdirective"},
		{"no address", "openai {\n base_url\n}", "wrong argument count"},
		{"key twice", "openai {\n api_key a\n api_key b\n}", "twice"},
		{"bad duration", "openai {\n idle_timeout soon\n}", "no duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := new(Provider).UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.input))
			if (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("the error is %v, want %q", err, tt.fails)
			}
		})
	}
	var p Provider
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`openai {
		base_url http://a/v1 http://b/v1
		base_url http://c/v1
		api_key {env.X}
		models a b
		default_model b
		structured_output json_object
		connect_timeout 1s
		first_token_timeout 2s
		idle_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.BaseURLs) != 3 || p.APIKey != "{env.X}" || len(p.Names) != 2 || p.Default != "b" || p.Schema != SchemaObject ||
		p.ConnectTimeout != caddy.Duration(1e9) || p.FirstTokenTimeout != caddy.Duration(2e9) || p.IdleTimeout != caddy.Duration(3e9) {
		t.Errorf("the provider is %+v", &p)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name, fails string
		p           *Provider
	}{
		{"no scheme", "is no address", &Provider{BaseURLs: []string{"localhost:8080"}}},
		{"a credential in the address", "is no address", &Provider{BaseURLs: []string{"https://u:p@host/v1"}}},
		{"a query", "is no address", &Provider{BaseURLs: []string{"https://host/v1?x=1"}}},
		{"an empty credential", "is empty", &Provider{BaseURLs: []string{"https://host"}, APIKey: "{env.NOBODY_SETS_THIS}"}},
		{"an unknown form", "is none of", &Provider{BaseURLs: []string{"https://host"}, Schema: "yaml"}},
		{"a default that is not served", "none of models", &Provider{BaseURLs: []string{"https://host"}, Names: []string{"a"}, Default: "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.p.Provision(caddy.Context{})
			if err == nil {
				err = tt.p.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("the error is %v, want %q", err, tt.fails)
			}
		})
	}
}

func TestDefaultsAreOpenAIs(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "k")
	t.Setenv("OPENAI_BASE_URL", "")
	p := new(Provider)
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if p.BaseURLs[0] != openAIBase || p.APIKey != openAIKey || p.DefaultModel() != openAIModel {
		t.Errorf("the provider is %+v", p)
	}
	// The usual credential goes to OpenAI's own address alone.
	other := newProvider(t, "http://127.0.0.1:1/v1", nil)
	if other.APIKey != "" || other.DefaultModel() != "" {
		t.Errorf("another address gets %q and %q", other.APIKey, other.DefaultModel())
	}
}
