package litellm

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-llm/caddy-llm/modules/gateway"

	_ "github.com/caddy-llm/caddy-llm/modules"
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
			made, report, err := Import("config.yaml", config)
			if err != nil {
				t.Fatalf("%v\n%s", err, report)
			}
			stem := strings.TrimSuffix(path, ".yaml")
			for name, got := range map[string]string{stem + ".Caddyfile": string(made), stem + ".report": report} {
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
	made, _, err := Import("config.yaml", config)
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

func TestWeightsAreLiteLLMsShares(t *testing.T) {
	for _, tt := range []struct {
		targets []target
		want    []int
	}{
		{[]target{{}, {}}, []int{1, 1}},
		{[]target{{weight: 9}, {weight: 3}}, []int{3, 1}},
		{[]target{{weight: 9}, {}}, []int{1, 1}}, // LiteLLM wants one of each
		{[]target{{rpm: 600, tpm: 1}, {rpm: 200, tpm: 1}}, []int{3, 1}},
		{[]target{{rpm: 600, tpm: 1}, {tpm: 2}}, []int{1, 2}},
		{[]target{{weight: 5, rpm: 1}, {weight: 10, rpm: 1}}, []int{1, 2}},
		{[]target{{tpm: 1_000_000_000}, {tpm: 7}}, []int{999_000, 1}},
	} {
		m := &model{name: "m", targets: tt.targets}
		new(importer).weigh(m)
		for i, got := range m.targets {
			if got.weight != tt.want[i] {
				t.Errorf("%+v: target %d has the weight %d, want %d", tt.targets, i, got.weight, tt.want[i])
			}
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
			if _, _, err := Import("config.yaml", []byte(tt.config)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestKeysBecomeCommands(t *testing.T) {
	former := now
	now = func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }
	t.Cleanup(func() { now = former })
	list := `{"total_count":9,"total_pages":2,"current_page":1,"keys":[
		{"token":"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b","key_name":"sk-...a1b2","key_alias":"ci","team_id":"core-team","rpm_limit":60,"tpm_limit":100000,"max_parallel_requests":4,"models":["gpt-4o","openai/*"],"expires":"2027-01-31T12:00:00.5Z","max_budget":25.0,"model_rpm_limit":{"gpt-4o":5}},
		{"key_alias":"it's mine","team_id":"no good","models":["all-proxy-models"],"rpm_limit":null},
		{"key_alias":null,"models":[]},
		{"key_alias":"of a team","models":["all-team-models"]},
		{"key_alias":"old","expires":"2025-01-31T12:00:00"},
		{"key_alias":"blocked","blocked":true}]}`
	script, report, err := Keys("keys.json", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	const want = `#!/bin/sh
# Each line makes a key and prints its secret, which is shown only then.
set -eu
caddy llm keys create --name ci --team core-team --limit 60/1m --limit 100000tokens/1m --limit 4concurrent --model gpt-4o --model 'openai/*' --expires 2027-01-31T12:00:00Z
caddy llm keys create --name 'it'\''s mine' --limit none
caddy llm keys create --name litellm-3 --limit none
`
	if string(script) != want {
		t.Errorf("the script is\n%s", script)
	}
	for _, line := range []string{
		"2 pages", `the team "no good" is left out`, "of a team is left out", "old is left out", "blocked is left out", "max_budget", "model_rpm_limit",
	} {
		if !strings.Contains(report, line) {
			t.Errorf("the report has no %q:\n%s", line, report)
		}
	}
	if strings.Contains(report+string(script), "88dc28") {
		t.Error("a key's hash is told")
	}
	for _, bad := range []string{`[]`, `{"keys":["88dc28d0"]}`, `{"keys":[{"models":1}]}`} {
		if _, _, err := Keys("keys.json", []byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
