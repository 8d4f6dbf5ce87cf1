package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ruleFile is what the tests look at of a file of rules.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Record      string
			Expr        string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// ruleTests is what the tests look at of a file of promtool's unit tests.
type ruleTests struct {
	Tests []struct {
		AlertRuleTest []struct {
			Alertname string
			ExpAlerts []struct {
				ExpLabels map[string]string `yaml:"exp_labels"`
			} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

// readYAML reads all files of a pattern.
func readYAML[T any](t *testing.T, pattern string) []T {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files %s: %v", pattern, err)
	}
	read := make([]T, len(files))
	for i, file := range files {
		if err := yaml.Unmarshal([]byte(readText(t, file)), &read[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return read
}

func TestPromtoolAcceptsConfigAndRules(t *testing.T) {
	glob := func(pattern string) []string {
		files, err := filepath.Glob(monitoring + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("there are no files %s: %v", pattern, err)
		}
		return files
	}
	for name, command := range map[string]*exec.Cmd{
		"config":       exec.Command(tool(t, "promtool"), "check", "config", monitoring+"prometheus.yml"),
		"rules":        exec.Command(tool(t, "promtool"), append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, glob("rules/*.yml")...)...),
		"alerts":       exec.Command(tool(t, "promtool"), append([]string{"test", "rules"}, glob("tests/*.yml")...)...),
		"alertmanager": exec.Command(tool(t, "amtool"), "check-config", monitoring+"alertmanager.yml"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// runbooks is where the annotations of alerts lead.
const runbooks = "https://github.com/caddy-llm/caddy-llm/blob/main/docs/runbooks/"

func TestEveryAlertIsTestedAndHasARunbook(t *testing.T) {
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, file := range readYAML[ruleTests](t, monitoring+"tests/*.yml") {
		for _, test := range file.Tests {
			for _, check := range test.AlertRuleTest {
				silent[check.Alertname] = silent[check.Alertname] || len(check.ExpAlerts) == 0
				for _, expected := range check.ExpAlerts {
					fires[check.Alertname+" "+expected.ExpLabels["severity"]+expected.ExpLabels["window"]] = true
				}
			}
		}
	}
	page := readText(t, "../docs/MONITORING.md")
	alerts := make(map[string]bool)
	for _, file := range readYAML[ruleFile](t, monitoring+"rules/*.yml") {
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				if rule.Alert == "" {
					continue
				}
				alerts[rule.Alert] = true
				severity := rule.Labels["severity"]
				if severity != "critical" && severity != "warning" {
					t.Errorf("%s: its severity is %q", rule.Alert, severity)
				}
				if !fires[rule.Alert+" "+severity+rule.Labels["window"]] || !silent[rule.Alert] {
					t.Errorf("%s (%s): no unit test in which it fires, or none in which it does not", rule.Alert, severity)
				}
				if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
					t.Errorf("%s: it has no summary or no description", rule.Alert)
				}
				name, ok := strings.CutPrefix(rule.Annotations["runbook_url"], runbooks)
				if !ok {
					t.Errorf("%s: its runbook_url is %q", rule.Alert, rule.Annotations["runbook_url"])
					continue
				}
				text := readText(t, "../docs/runbooks/"+name)
				for _, heading := range []string{"# " + rule.Alert + "\n", "\n## What it means\n", "\n## How to see it\n", "\n## What to do\n"} {
					if !strings.Contains(text, heading) {
						t.Errorf("%s: docs/runbooks/%s lacks %q", rule.Alert, name, heading)
					}
				}
				if !strings.Contains(page, "[`"+rule.Alert+"`](runbooks/"+name+")") {
					t.Errorf("%s: docs/MONITORING.md does not lead to its runbook", rule.Alert)
				}
			}
		}
	}
	pages, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !alerts[strings.TrimSuffix(page.Name(), ".md")] {
			t.Errorf("docs/runbooks/%s is for no alert", page.Name())
		}
	}
	for tested := range silent {
		if !alerts[tested] {
			t.Errorf("a unit test expects an alert %q, which there is not", tested)
		}
	}
}
