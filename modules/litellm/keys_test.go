package litellm

import (
	"strings"
	"testing"
	"time"
)

func TestKeysBecomeCommands(t *testing.T) {
	former := now
	now = func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }
	t.Cleanup(func() { now = former })
	list := `{"total_count":9,"total_pages":2,"current_page":1,"keys":[
		{"token":"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b","key_name":"sk-...a1b2","key_alias":"ci","team_id":"core-team","rpm_limit":60,"tpm_limit":100000,"max_parallel_requests":4,"models":["gpt-4o","openai/*"],"expires":"2027-01-31T12:00:00.5Z","max_budget":25.0,"model_rpm_limit":{"gpt-4o":5}},
		{"key_alias":"it's mine","team_id":"no good","models":["gpt-4o"],"rpm_limit":null},
		{"key_alias":null,"models":[]},
		{"key_alias":"of a team","models":["all-team-models"]},
		{"key_alias":"bounded","team_id":"core-team","models":[]},
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
caddy llm keys create --name 'it'\''s mine' --limit none --model gpt-4o
caddy llm keys create --name litellm-3 --limit none
`
	if string(script) != want {
		t.Errorf("the script is\n%s", script)
	}
	for _, line := range []string{
		"2 pages", `the team "no good" is left out`, "of a team is left out", "bounded is left out", "old is left out", "blocked is left out", "max_budget", "model_rpm_limit",
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
