package providertest

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Vendored is a provider of an API that its vendor and others serve, whose config is to be examined.
type Vendored interface {
	Module
	gateway.ModelNamer
	gateway.Addressed
}

// Config is what RunConfig needs to know of a provider.
type Config struct {
	// New makes the provider as Caddy does.
	New func() Vendored
	// Base is the vendor's own address, which BaseVariable changes. KeyVariables are those of its credential, the first before the others.
	Base, BaseVariable string
	KeyVariables       []string
	// Model is the default of the vendor's own server. It serves its Models, and not Others unless the config names them.
	Model          string
	Models, Others []string
	// List is how a server lists its models, and Listed what that means.
	List   string
	Listed []gateway.ProviderModel
	// Options are more options in a Caddyfile, and their values in JSON.
	Options map[string]any
	// Wrong are more options that cannot be, with what the error says.
	Wrong map[string]string
}

// RunConfig examines a provider's config.
func RunConfig(t *testing.T, c Config) {
	for _, behaviour := range []struct {
		name  string
		check func(t *testing.T, c Config)
	}{
		{"the defaults are the vendor's", defaultsToTheVendor},
		{"the vendor's credential goes nowhere else", keepsTheCredential},
		{"a Caddyfile sets every option", readsEveryOption},
		{"a config that cannot be is refused", refusesConfigs},
		{"the server's models are listed", listsTheServers},
		{"the config's models are listed without the network", listsTheConfigs},
		{"lists that cannot be read are none", refusesLists},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			t.Setenv(c.BaseVariable, "")
			for _, variable := range c.KeyVariables {
				t.Setenv(variable, "k")
			}
			behaviour.check(t, c)
		})
	}
}

// read makes a provider of options in a Caddyfile.
func (c Config) read(options string) (Vendored, error) {
	p := c.New()
	return p, p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("provider {\n" + options + "\n}"))
}

func (c Config) ready(t *testing.T, options string) Vendored {
	t.Helper()
	p, err := c.read(options)
	if err != nil {
		t.Fatal(err)
	}
	return Ready(t, p)
}

// written is a provider's config in JSON.
func written(t *testing.T, p Vendored) (config map[string]any) {
	t.Helper()
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func defaultsToTheVendor(t *testing.T, c Config) {
	for i, variable := range c.KeyVariables {
		p := c.ready(t, "")
		config := written(t, p)
		if !reflect.DeepEqual(config["base_url"], []any{c.Base}) || config["api_key"] != "{env."+variable+"}" || p.DefaultModel() != c.Model || !p.AtVendor() {
			t.Errorf("%d: the provider is %v", i, config)
		}
		for _, model := range c.Models {
			if !p.Serves(model) {
				t.Errorf("it does not serve %s", model)
			}
		}
		for _, model := range c.Others {
			if p.Serves(model) {
				t.Errorf("it serves %s", model)
			}
		}
		t.Setenv(variable, "") // so that it is the next one's turn
	}
}

func keepsTheCredential(t *testing.T, c Config) {
	p := c.ready(t, "base_url http://127.0.0.1:1")
	if key := written(t, p)["api_key"]; key != nil || p.DefaultModel() != "" || p.AtVendor() {
		t.Errorf("another address gets %v and %q", key, p.DefaultModel())
	}
	for _, model := range slices.Concat(c.Models, c.Others) { // it has models of any name
		if !p.Serves(model) {
			t.Errorf("another server does not serve %s", model)
		}
	}
	t.Setenv(c.BaseVariable, "http://127.0.0.1:1")
	if p := c.ready(t, ""); p.AtVendor() {
		t.Errorf("the variable's address is not heeded")
	}
}

func readsEveryOption(t *testing.T, c Config) {
	options := map[string]any{
		"base_url": []any{"https://a", "https://b", "https://c"}, "api_key": "{env.K}", "models": []any{"m", "n"}, "default_model": "n",
		"connect_timeout": 1e9, "first_token_timeout": 2e9, "idle_timeout": 3e9, "timeout": 4e9,
	}
	text := "base_url https://a https://b\nbase_url https://c\napi_key {env.K}\nmodels m n\ndefault_model n\n" +
		"connect_timeout 1s\nfirst_token_timeout 2s\nidle_timeout 3s\ntimeout 4s\n"
	for line, value := range c.Options {
		name, _, _ := strings.Cut(line, " ")
		options[name] = value
		text += line + "\n"
	}
	p, err := c.read(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := written(t, p); !reflect.DeepEqual(got, options) {
		t.Errorf("the config is %v, want %v", got, options)
	}
}

func refusesConfigs(t *testing.T, c Config) {
	wrong := map[string]string{
		"base_url localhost:8080":                               "is no address",
		"base_url https://u:canary@host":                        "without credentials or query",
		"base_url https://host?key=canary":                      "without credentials or query",
		"base_url https://host\napi_key {env.NOBODY_SETS_THIS}": "is empty",
		"base_url https://host\nmodels a\ndefault_model b":      "none of models",
		"color red":              "unrecognized subdirective",
		"models":                 "wrong argument count",
		"base_url":               "wrong argument count",
		"api_key a\napi_key b":   "given twice",
		"idle_timeout soon":      "no duration",
		"timeout 1s\ntimeout 2s": "given twice",
	}
	maps.Copy(wrong, c.Wrong)
	for options, fails := range wrong {
		t.Run(options, func(t *testing.T) {
			p, err := c.read(options)
			if err == nil {
				err = start(p)
			}
			if err == nil || !strings.Contains(err.Error(), fails) {
				t.Fatalf("the error is %v, want %q", err, fails)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells a credential: %v", err)
			}
		})
	}
	if err := c.New().UnmarshalCaddyfile(caddyfile.NewTestDispenser("provider x")); err == nil || !strings.Contains(err.Error(), "wrong argument count") {
		t.Errorf("an argument: %v", err)
	}
}

func listsTheServers(t *testing.T, c Config) {
	p := c.ready(t, "base_url "+Serve(t, Says(200, "application/json", c.List)))
	if got, err := p.Models(t.Context()); err != nil || !slices.Equal(got, c.Listed) {
		t.Errorf("the models are %v, %v, want %v", got, err, c.Listed)
	}
}

func listsTheConfigs(t *testing.T, c Config) {
	p := c.ready(t, "base_url http://127.0.0.1:1\nmodels z a")
	want := []gateway.ProviderModel{{ID: "z"}, {ID: "a"}}
	if got, err := p.Models(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("the models are %v, %v, want %v", got, err, want)
	}
	if p.DefaultModel() != "z" || !p.Serves("a") || p.Serves("b") || !p.NamesModel("a") || p.NamesModel("b") {
		t.Error("the provider does not know its models")
	}
}

func refusesLists(t *testing.T, c Config) {
	for name, h := range map[string]http.HandlerFunc{
		"refused": Says(401, "application/json", `{"error":{"message":"no"}}`),
		"HTML":    Says(200, "text/html", "<html>"),
		"cut off": Says(200, "application/json", c.List[:len(c.List)/2]),
	} {
		t.Run(name, func(t *testing.T) {
			if models, err := c.ready(t, "base_url "+Serve(t, h)).Models(t.Context()); err == nil {
				t.Errorf("the models are %v", models)
			}
		})
	}
}
