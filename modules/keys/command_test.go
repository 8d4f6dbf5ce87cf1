package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// command runs a command of caddy llm keys as a shell would, and returns what it writes.
func command(t *testing.T, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	return caddyLLM(t, in, append([]string{"keys"}, args...)...)
}

// caddyLLM runs a command of caddy llm.
func caddyLLM(t *testing.T, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	caddyRoot := &cobra.Command{Use: "caddy", SilenceUsage: true, SilenceErrors: true}
	llm := &cobra.Command{Use: "llm"}
	llm.AddCommand(keysCommand(), teamsCommand())
	caddyRoot.AddCommand(llm)
	var stdout, stderr bytes.Buffer
	caddyRoot.SetOut(&stdout)
	caddyRoot.SetErr(&stderr)
	caddyRoot.SetIn(strings.NewReader(in))
	caddyRoot.SetArgs(append([]string{"llm"}, args...))
	err = caddyRoot.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// succeed runs a command that has to succeed and returns its result.
func succeed(t *testing.T, in string, args ...string) string {
	t.Helper()
	out, errOut, err := command(t, in, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errOut)
	}
	return out
}

func decode(t *testing.T, text string) (key keyJSON) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return key
}

// writeConfig puts a config into the current directory, a new one.
func writeConfig(t *testing.T, config string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("caddy.json", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// flow manages a key and a team from their making to their end, and holds over every transport.
func flow(t *testing.T, flags ...string) {
	run := func(args ...string) string { t.Helper(); return succeed(t, "", append(args, flags...)...) }

	secret := strings.TrimSuffix(run("create", "--name", "ci", "--team", "ops", "--limit", "5/1m", "--limit", "2concurrent",
		"--model", "fast", "--expires", "30d"), "\n")
	if !gateway.WellFormedKey(secret) {
		t.Fatal("create does not print a key alone")
	}
	made := decode(t, run("create", "--limit", "none", "--json"))
	if !gateway.WellFormedKey(made.Key) || len(made.Limits) != 0 {
		t.Errorf("create --json: got %+v", made)
	}

	var page pageJSON
	if err := json.Unmarshal([]byte(run("list", "--json")), &page); err != nil {
		t.Fatal(err)
	}
	var ci keyJSON
	for _, key := range page.Data {
		if key.Name == "ci" {
			ci = key
		}
	}
	if want := []limitJSON{{gateway.LimitRequests, 5, "1m"}, {gateway.LimitConcurrency, 2, ""}}; ci.Team != "ops" ||
		!reflect.DeepEqual(ci.Limits, want) || !reflect.DeepEqual(ci.Models, []string{"fast"}) || time.Until(*ci.ExpiresAt) > 30*day {
		t.Errorf("list --json: got %+v", ci)
	}
	for _, args := range [][]string{{"list"}, {"show", ci.ID}} {
		text := run(args...)
		for _, word := range []string{ci.ID, "ci", "ops", "5/1m, 2concurrent", "fast", "active until " + ci.ExpiresAt.Format(time.RFC3339)} {
			if !strings.Contains(text, word) {
				t.Errorf("%v does not say %q:\n%s", args, word, text)
			}
		}
		if strings.Contains(text, gateway.KeyPrefix) {
			t.Errorf("%v shows a secret", args)
		}
	}

	if got := run("revoke", ci.ID); got != ci.ID+" revoked\n" {
		t.Errorf("revoke: got %q", got)
	}
	if got := decode(t, run("show", ci.ID, "--json")); got.Active {
		t.Error("a revoked key is active")
	}
	if got := decode(t, run("activate", ci.ID, "--json")); !got.Active {
		t.Error("an activated key is not active")
	}
	if got := strings.TrimSuffix(run("rotate", ci.ID, "--grace", "1m"), "\n"); !gateway.WellFormedKey(got) || got == secret {
		t.Error("rotate does not print a fresh key alone")
	}

	given := gateway.NewSecret(gateway.KeyPrefix)
	first := decode(t, run("import", "--key", given, "--name", "given", "--json"))
	again := decode(t, succeed(t, given+"\n", append([]string{"import", "--key", "-", "--json"}, flags...)...))
	if !*first.Created || *again.Created || first.ID != again.ID || again.Name != "given" {
		t.Errorf("import: got %s created %v, then %s created %v", first.ID, *first.Created, again.ID, *again.Created)
	}
	if got := run("import", "--key", given); got != first.ID+" is there already, unchanged\n" {
		t.Errorf("import: got %q", got)
	}

	if got := run("delete", ci.ID); got != ci.ID+" deleted\n" {
		t.Errorf("delete: got %q", got)
	}
	if got := run("delete", first.ID, "--json"); got != `{"id":"`+first.ID+`","deleted":true}`+"\n" {
		t.Errorf("delete --json: got %q", got)
	}
	if _, _, err := command(t, "", append([]string{"show", ci.ID}, flags...)...); err == nil || !strings.Contains(err.Error(), "there is no key with this id") {
		t.Errorf("showing a deleted key: got error %v", err)
	}
	if _, _, err := command(t, "", append([]string{"create", "--limit", "many"}, flags...)...); err == nil || !strings.HasPrefix(err.Error(), "limits.0: write a limit as") {
		t.Errorf("a bad limit: got error %v", err)
	}
	teamFlow(t, flags...)
}

func TestCommandsOpenTheStoreWhereNobodyListens(t *testing.T) {
	t.Run("with the admin endpoint off", func(t *testing.T) {
		writeConfig(t, `{"admin":{"disabled":true},"apps":{"llm_gateway":{"data_dir":"keep"}}}`)
		flow(t, "--config", "caddy.json")
		if _, err := os.Stat("keep"); err != nil {
			t.Error(err)
		}
	})
	t.Run("with no socket", func(t *testing.T) {
		writeConfig(t, `{"admin":{"listen":"unix/data/admin.sock"}}`)
		flow(t, "--config", "caddy.json")
	})
	t.Run("with a refused port", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		writeConfig(t, fmt.Sprintf(`{"admin":{"listen":%q}}`, ln.Addr()))
		flow(t, "--config", "caddy.json")
	})
	t.Run("with the Caddyfile of the directory", func(t *testing.T) {
		t.Chdir(t.TempDir())
		t.Setenv("GATEWAY_DATA", filepath.Join(t.TempDir(), "keep"))
		if err := os.WriteFile("Caddyfile", []byte("{\n\tadmin unix/{$GATEWAY_DATA}/admin.sock\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		flow(t)
		if entries, err := os.ReadDir("."); err != nil || len(entries) != 1 {
			t.Errorf("the commands left %v, error %v", entries, err)
		}
	})
}

func TestCommandsNeedNoProvidersCredential(t *testing.T) {
	writeConfig(t, `{"admin":{"disabled":true},"apps":{"llm_gateway":{"admin_key":"{env.NOT_SET_HERE}",
		"providers":[{"name":"x","provider":{"module":"does_not_exist"}}]}}}`)
	if got := succeed(t, "", "create", "--config", "caddy.json"); !gateway.WellFormedKey(strings.TrimSpace(got)) {
		t.Error("create prints no key")
	}
}

func TestCommandsAskTheRunningGateway(t *testing.T) {
	admin, _ := runGateway(t)
	writeConfig(t, fmt.Sprintf(`{"admin":{"listen":%q},"apps":{"llm_gateway":{"data_dir":"elsewhere"}}}`, admin.Listen+"|0600"))
	flow(t, "--config", "caddy.json")
	if _, err := os.Stat("elsewhere"); err == nil {
		t.Error("the commands opened the store beside the running gateway")
	}
}

// TestCommandsPassTheOriginCheck stands a server behind the checks that Caddy makes of Host and Origin.
func TestCommandsPassTheOriginCheck(t *testing.T) {
	ring := newAPI(t).ring
	var host, origin string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, origin = r.Host, r.Header.Get("Origin")
		if err := serveAdmin(ring, w, r); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	for origins, want := range map[string][2]string{
		`null`:                        {addr, "http://" + addr},
		`[]`:                          {addr, "http://" + addr},
		`["gateway.internal:2019"]`:   {"gateway.internal:2019", "http://gateway.internal:2019"},
		`["https://gateway.example"]`: {"gateway.example", "https://gateway.example"},
	} {
		writeConfig(t, fmt.Sprintf(`{"admin":{"listen":%q,"origins":%s}}`, addr, origins))
		succeed(t, "", "list", "--config", "caddy.json")
		if host != want[0] || origin != want[1] {
			t.Errorf("origins %s: got host %q and origin %q, want %q and %q", origins, host, origin, want[0], want[1])
		}
	}
}

func TestTheAdminAddressIsReadAsCaddyReadsIt(t *testing.T) {
	t.Setenv("ADMIN_PORT", "4019")
	for listen, want := range map[string][2]string{
		"":                                {"tcp", caddy.DefaultAdminListen},
		":2020":                           {"tcp", ":2020"},
		"127.0.0.1:2020":                  {"tcp", "127.0.0.1:2020"},
		"tcp/[::1]:2020":                  {"tcp", "[::1]:2020"},
		"localhost:{env.ADMIN_PORT}":      {"tcp", "localhost:4019"},
		"unix//run/caddy.sock":            {"unix", "/run/caddy.sock"},
		"unix//run/caddy.sock|0220":       {"unix", "/run/caddy.sock"},
		"unix/data/{env.ADMIN_PORT}.sock": {"unix", "data/4019.sock"},
		"unix/@abstract":                  {"unix", "@abstract"},
	} {
		r, err := newRemote(adminConfig{Listen: listen})
		if err != nil || r.network != want[0] || r.address != want[1] {
			t.Errorf("%q: got %+v and error %v, want %v", listen, r, err, want)
		}
	}
	for _, listen := range []string{"localhost:2019-2020", "localhost:port", "{env.NOT_SET_HERE}:1"} {
		if r, err := newRemote(adminConfig{Listen: listen}); err == nil {
			t.Errorf("%q: got %+v and no error", listen, r)
		}
	}
}

func TestSomebodyElseAtTheAdminAddressIsAnError(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a Caddy without the modules":  http.NotFound,
		"a page that says all is well": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>It works!") },
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			writeConfig(t, fmt.Sprintf(`{"admin":{"listen":%q}}`, srv.Listener.Addr()))
			for _, args := range [][]string{{"list"}, {"create"}, {"create", "--json"}, {"delete", "key_1"}} {
				out, _, err := command(t, "", append(args, "--config", "caddy.json")...)
				if err == nil || !strings.Contains(err.Error(), "has no key API") || out != "" {
					t.Errorf("%v: got %q and error %v", args, out, err)
				}
			}
		})
	}
}

func TestCommandsSayWhatIsWrong(t *testing.T) {
	writeConfig(t, `{"admin":{"disabled":true}}`)
	const config = "--config=caddy.json"
	secret := gateway.NewSecret(gateway.KeyPrefix)
	tests := []struct {
		name, in string
		args     []string
		says     string
	}{
		{"a mistyped command", "", []string{"creat"}, `unknown command "creat"`},
		{"an argument of create", "", []string{"create", "ci", config}, "unknown command"},
		{"no id", "", []string{"show", config}, "give one key's id"},
		{"two ids", "", []string{"revoke", "key_1", "key_2", config}, "give one key's id"},
		{"a secret for an id", "", []string{"revoke", secret, config}, "that is a key's secret"},
		{"none and a limit", "", []string{"create", "--limit", "none", "--limit", "1/1h", config}, "give it alone"},
		{"a bad expiry", "", []string{"create", "--expires", "soon", config}, "--expires"},
		{"a negative expiry", "", []string{"create", "--expires", "-1d", config}, "--expires"},
		{"a past expiry", "", []string{"create", "--expires", "2020-01-01T00:00:00Z", config}, "expires_at: this time is past"},
		{"no secret to import", "", []string{"import", config}, "the secret is missing"},
		{"an empty input", "", []string{"import", "--key", "-", config}, "standard input"},
		{"an empty line", "\n" + secret, []string{"import", "--key", "-", config}, "standard input"},
		{"a secret of another shape", "", []string{"import", "--key", "sk-123", config}, "key: a key is sp_"},
		{"a bad grace", "", []string{"rotate", "key_1", "--grace", "soon", config}, "grace: this must be"},
		{"a config that is not there", "", []string{"list", "--config", "none.json"}, "none.json"},
		{"an adapter alone", "", []string{"list", "--adapter", "caddyfile"}, "--config"},
		{"an unknown flag", "", []string{"list", "--verbose", config}, "unknown flag"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			out, _, err := command(t, tc.in, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got error %v, want one line that says %q", err, tc.says)
			}
			if strings.Contains(err.Error(), secret) || out != "" {
				t.Errorf("got %q and error %v", out, err)
			}
		})
	}
}

func TestCommandsWantAConfigWhereNobodyListens(t *testing.T) {
	t.Chdir(t.TempDir())
	former := caddy.DefaultAdminListen
	t.Cleanup(func() { caddy.DefaultAdminListen = former })
	caddy.DefaultAdminListen = "unix/admin.sock"
	if _, _, err := command(t, "", "create"); err == nil || !strings.Contains(err.Error(), "no gateway listens at admin.sock, and there is no Caddyfile here") {
		t.Errorf("got error %v", err)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("the command left %v, error %v", entries, err)
	}
}

func TestAChangeThatARunningGatewayDoesNotSeeIsSaid(t *testing.T) {
	writeConfig(t, `{"admin":{"disabled":true}}`)
	id := decode(t, succeed(t, "", "create", "--json", "--config", "caddy.json")).ID
	for _, args := range [][]string{{"revoke", id}, {"activate", id}, {"rotate", id}, {"delete", id}} {
		if _, errOut, err := command(t, "", append(args, "--json", "--config", "caddy.json")...); err != nil || !strings.Contains(errOut, "admin endpoint off") {
			t.Errorf("%v: got note %q and error %v", args, errOut, err)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, cmd := range append(keysCommand().Commands(), teamsCommand().Commands()...) {
		if cmd.Short == "" || len(cmd.Long) < len(cmd.Short) || !strings.Contains(cmd.Example, "$ caddy llm "+cmd.CommandPath()) {
			t.Errorf("%s: the help is thin", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 82 {
				t.Errorf("%s: the help has a line of %d characters", cmd.Name(), len(line))
			}
		}
	}
}
