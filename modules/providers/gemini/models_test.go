package gemini

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestModelsAreTheConfigsElseTheServersThatChatOrEmbed(t *testing.T) {
	base := serve(t, speaker)
	for _, tt := range []struct {
		names []string
		want  []gateway.ProviderModel
	}{
		{nil, []gateway.ProviderModel{{ID: "small"}, {ID: "tunedModels/mine"}, {ID: "vectors"}}},
		{[]string{"b", "a"}, []gateway.ProviderModel{{ID: "b"}, {ID: "a"}}},
	} {
		p := newProvider(t, base, func(p *Provider) { p.Names = tt.names })
		if got, err := p.Models(t.Context()); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("models %v: %v, %v, want %v", tt.names, got, err, tt.want)
		}
	}
}

func TestDefaultsAreGoogles(t *testing.T) {
	for key, env := range map[string]map[string]string{
		"{env.GEMINI_API_KEY}": {"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "l"},
		"{env.GOOGLE_API_KEY}": {"GEMINI_API_KEY": "", "GOOGLE_API_KEY": "l"},
	} {
		t.Setenv("GOOGLE_GEMINI_BASE_URL", "")
		for name, value := range env {
			t.Setenv(name, value)
		}
		p := new(Provider)
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		if p.BaseURLs[0] != googleBase || p.APIKey != key || p.DefaultModel() != googleModel {
			t.Errorf("the provider is %+v", p)
		}
		for model, served := range map[string]bool{"gemini-x": true, "gemma-x": true, "tunedModels/x": true, "models/x": true, "gpt-x": false, "claude-x": false} {
			if p.Serves(model) != served {
				t.Errorf("it serves %s: %t", model, !served)
			}
		}
	}
	// The usual credential goes to Google's own address alone, and other servers have models of any name.
	other := newProvider(t, "http://127.0.0.1:1", nil)
	if other.APIKey != "" || other.DefaultModel() != "" || !other.Serves("gpt-x") {
		t.Errorf("another address gets %q and %q", other.APIKey, other.DefaultModel())
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct{ text, fails string }{
		"no scheme":                    {"base_url localhost:8080", "is no address"},
		"a key in the address":         {"base_url https://host?key=k", "without credentials or query"},
		"an empty credential":          {"base_url https://host\napi_key {env.NOBODY_SETS_THIS}", "is empty"},
		"a default that is not served": {"base_url https://host\nmodels a\ndefault_model b", "none of models"},
		"an unknown option":            {"color red", "unrecognized subdirective"},
		"an option without its value":  {"models", "wrong argument count"},
		"an option twice":              {"api_key a\napi_key b", "given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(Provider)
			err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("gemini {\n" + tt.text + "\n}"))
			if err == nil {
				err = p.Provision(caddy.Context{})
			}
			if err == nil {
				err = p.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "key=k") {
				t.Errorf("the error is %v, want %q", err, tt.fails)
			}
		})
	}
}

func TestTheCaddyfileSetsEveryOption(t *testing.T) {
	p := new(Provider)
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`gemini {
		base_url https://a https://b
		api_key {env.K}
		models m n
		default_model n
		connect_timeout 1s
		first_token_timeout 2s
		idle_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.BaseURLs, []string{"https://a", "https://b"}) || p.APIKey != "{env.K}" || !slices.Equal(p.Names, []string{"m", "n"}) ||
		p.Default != "n" || p.ConnectTimeout != 1e9 || p.FirstTokenTimeout != 2e9 || p.IdleTimeout != 3e9 {
		t.Errorf("the provider is %+v", p)
	}
}
