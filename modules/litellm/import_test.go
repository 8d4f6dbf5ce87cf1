package litellm_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-llm/caddy-llm/modules"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/litellm"
)

var update = flag.Bool("update", false, "write what is made into testdata")

// Each configuration of testdata becomes the Caddyfile and the report beside it.
func TestAConfigurationBecomesACaddyfile(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			config, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			made, report, err := litellm.Import("config.yaml", config)
			if err != nil {
				t.Fatalf("%v\n%s", err, report)
			}
			stem := strings.TrimSuffix(path, ".yaml")
			for name, got := range map[string]string{stem + ".golden": string(made), stem + ".report": report} {
				if *update {
					if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s is\n%s", name, got)
				}
				for _, secret := range []string{"sk-", "pk-lf", "password-"} {
					if strings.Contains(got, secret) {
						t.Errorf("%s has a secret of the configuration:\n%s", name, got)
					}
				}
			}
		})
	}
}

// What LiteLLM would do with a name, the routes of the Caddyfile do.
func TestTheModelsLeadWhereLiteLLMsDo(t *testing.T) {
	config, err := os.ReadFile("testdata/production.yaml")
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := litellm.Import("config.yaml", config)
	if err != nil {
		t.Fatal(err)
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(made, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Apps struct {
			App struct {
				Models []gateway.Model `json:"models"`
			} `json:"llm_gateway"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(adapted, &got); err != nil {
		t.Fatal(err)
	}
	places := make(map[string]string)
	for _, m := range got.Apps.App.Models {
		var list []string
		for _, target := range append(m.Targets, m.Fallbacks...) {
			list = append(list, target.Provider+"/"+target.Model)
		}
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			places[name] = strings.Join(list, " ")
		}
	}
	for name, want := range map[string]string{
		"fast":          "openai/gpt-4.1-mini groq/llama-3.3-70b-versatile",
		"gpt-3.5-turbo": "openai/gpt-4.1-mini groq/llama-3.3-70b-versatile",
		"gpt-4":         "anthropic/claude-opus-4-5 openai/gpt-4.1-mini groq/llama-3.3-70b-versatile",
		"local":         "ollama_chat/llama3.2",
		"house":         "hosted_vllm/meta-llama/Llama-3.1-8B-Instruct",
		"sneaky":        "",
	} {
		if places[name] != want {
			t.Errorf("%s leads to %q, want %q", name, places[name], want)
		}
	}
}

func TestWhatIsNoConfigurationIsRefused(t *testing.T) {
	for name, tt := range map[string]struct{ config, want string }{
		"no YAML":        {"a: [", "reading config.yaml"},
		"nothing":        {"", "no LiteLLM configuration"},
		"a list":         {"- a", "no LiteLLM configuration"},
		"no models":      {"model_list: []", "no model could be carried over"},
		"a circle":       {"a: &a\n  <<: *a\nmodel_list: *a", "no model could be carried over"},
		"only strangers": {"model_list: [{model_name: x, litellm_params: {model: replicate/x}}]", "no model could be carried over"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := litellm.Import("config.yaml", []byte(tt.config)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
