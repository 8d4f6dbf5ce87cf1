package main

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	metrics "github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// registered are the names of all metrics that a gateway with each kind of store has, those without a series yet too.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	// Nothing is dialled before it is used.
	config := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		AppsRaw: caddy.ModuleMap{gateway.AppName: json.RawMessage(`{"store":{"module":"redis","url":"redis://127.0.0.1:1"},"database":{"module":"postgres","url":"postgres://127.0.0.1:1/x"},"providers":[{"name":"demo","provider":{"module":"demo"}}]}`)},
	}
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *metrics.Desc)
	go func() {
		ctx.GetMetricsRegistry().Describe(descs)
		close(descs)
	}()
	names := make(map[string]bool)
	for desc := range descs {
		if m := regexp.MustCompile(`fqName: "((?:gateway|gen_ai)_[^"]*)"`).FindStringSubmatch(desc.String()); m != nil {
			names[m[1]] = true
		}
	}
	if len(names) < 15 {
		t.Fatalf("there are only %d metrics", len(names))
	}
	return names
}

// A metric that nobody hears of is of no use, and one that is renamed leaves an empty panel, or an alert that never comes.
func TestEveryMetricIsDocumentedAndShown(t *testing.T) {
	names := registered(t)
	var shown strings.Builder
	for _, board := range dashboards(t) {
		for _, expressions := range board.expressions("5m") {
			shown.WriteString(strings.Join(expressions, "\n") + "\n")
		}
		for _, variable := range board.Templating.List {
			shown.WriteString(variable.Query + "\n")
		}
	}
	for _, file := range readYAML[ruleFile](t, monitoring+"rules/*.yml") {
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				shown.WriteString(rule.Expr + "\n")
			}
		}
	}
	page := readText(t, "../docs/MONITORING.md")
	for name := range names {
		if !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("docs/MONITORING.md has no row for %s", name)
		}
		if !regexp.MustCompile(`\b` + name + `(_bucket|_sum|_count)?\b`).MatchString(shown.String()) {
			t.Errorf("no panel and no rule is about %s", name)
		}
	}

	// And what is spoken of exists.
	spoken := regexp.MustCompile(`\b(?:gateway_[a-z0-9_]+|gen_ai_(?:client|server)_[a-z0-9_]+)`)
	known := func(where, text string) {
		for _, name := range spoken.FindAllString(text, -1) {
			base := name
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, part)
			}
			if !names[name] && !names[base] {
				t.Errorf("%s speaks of %s, which there is not", where, name)
			}
		}
	}
	known("a dashboard or a rule", shown.String())
	err := filepath.WalkDir("../docs", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			known(path, readText(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
