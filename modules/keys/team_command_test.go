package keys

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// teamFlow manages a team from its making to its end.
func teamFlow(t *testing.T, flags ...string) {
	t.Helper()
	try := func(args ...string) (string, error) {
		out, _, err := caddyLLM(t, "", append(args, flags...)...)
		return out, err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := try(append([]string{"teams"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	for _, step := range []struct{ args, says string }{
		{"create flow-b", "flow-b created: unlimited, active\n"},
		{"create flow-a --limit 5/1m --limit 2concurrent", "flow-a created: 5/1m, 2concurrent, active\n"},
		{"update flow-a --limit 9tokens/1d", "flow-a updated: 9tokens/1d, active\n"},
		{"update flow-a --active=false", "flow-a updated: 9tokens/1d, inactive\n"},
		{"update flow-a --active --limit none", "flow-a updated: unlimited, active\n"},
		{"update flow-a --limit 7/1h --active=false", "flow-a updated: 7/1h, inactive\n"},
	} {
		if got := run(strings.Fields(step.args)...); got != step.says {
			t.Errorf("%s: got %q, want %q", step.args, got, step.says)
		}
	}
	var page teamPageJSON
	if err := json.Unmarshal([]byte(run("list", "--json")), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Data) != 2 || page.Data[0].Name != "flow-a" || page.Data[0].Active || page.Data[1].Name != "flow-b" || page.HasMore {
		t.Errorf("list --json: got %+v", page)
	}
	if got := run("list"); !strings.Contains(got, "flow-a   7/1h        inactive   ") {
		t.Errorf("list: got\n%s", got)
	}

	if _, err := try("keys", "create", "--name", "flow", "--team", "flow-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := try("teams", "delete", "flow-a"); err == nil || !strings.Contains(err.Error(), "the team has keys that are active") {
		t.Errorf("deleting a team in use: got error %v", err)
	}
	if got := run("delete", "flow-b"); got != "flow-b deleted\n" {
		t.Errorf("delete: got %q", got)
	}
	run("create", "flow-b")
	if got := run("delete", "flow-b", "--json"); got != `{"name":"flow-b","deleted":true}`+"\n" {
		t.Errorf("delete --json: got %q", got)
	}
	if _, err := try("team", "delete", "flow-b"); err == nil || !strings.Contains(err.Error(), "there is no team of this name") {
		t.Errorf("deleting a deleted team: got error %v", err)
	}
}

func TestTeamCommandsSayWhatIsWrong(t *testing.T) {
	writeConfig(t, `{"admin":{"disabled":true}}`)
	secret := gateway.NewSecret(gateway.KeyPrefix)
	for _, tt := range []struct{ args, says string }{
		{"creat", `unknown command "creat"`},
		{"create", "give one team's name"},
		{"create a b", "give one team's name"},
		{"create " + secret, "that is a key's secret"},
		{"delete " + secret, "that is a key's secret"},
		{"create a/b", "name: this must be"},
		{"create ..", "name: a name of dots"},
		{"create a --limit many", "limits.0: write a limit as"},
		{"create a --limit none --limit 1/1h", "give it alone"},
		{"update a", "there is nothing to change"},
		{"update a --active=perhaps", "perhaps"},
		{"update a --limit 1/1h", "there is no team of this name"},
		{"list a", "unknown command"},
	} {
		args := append([]string{"teams"}, strings.Fields(tt.args)...)
		if len(args) > 2 {
			args = append(args, "--config=caddy.json")
		}
		out, _, err := caddyLLM(t, "", args...)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) || out != "" {
			t.Errorf("%s: got %q and error %v, want %q", tt.args, out, err, tt.says)
		}
	}
}

func TestAChangeOfATeamThatARunningGatewayDoesNotSeeIsSaid(t *testing.T) {
	writeConfig(t, `{"admin":{"disabled":true}}`)
	for _, args := range []string{"create red", "update red --active=false", "delete red"} {
		_, errOut, err := caddyLLM(t, "", append(append([]string{"teams"}, strings.Fields(args)...), "--json", "--config", "caddy.json")...)
		if err != nil || !strings.Contains(errOut, "admin endpoint off") {
			t.Errorf("%s: got note %q and error %v", args, errOut, err)
		}
	}
}
