package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keys runs `caddy llm keys` in a gateway's directory, as somebody does who works there. It wants it to succeed.
func (p *process) keys(args ...string) string {
	p.t.Helper()
	out, err := p.caddy(append([]string{"llm", "keys"}, args...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSuffix(out, "\n")
}

// status is what a call with a key gets.
func (p *process) status(key string) int {
	p.t.Helper()
	return p.do("GET", "/v1/models", key, "").Status
}

// want checks that a key works, or does not.
func (p *process) want(key string, works bool, when string) {
	p.t.Helper()
	want := http.StatusUnauthorized
	if works {
		want = http.StatusOK
	}
	if got := p.status(key); got != want {
		p.t.Errorf("%s the key gets %d, not %d", when, got, want)
	}
}

// keyID is the id of the key with a name.
func (p *process) keyID(name string) string {
	p.t.Helper()
	var page struct{ Data []struct{ ID, Name string } }
	if err := json.Unmarshal([]byte(p.keys("list", "--json")), &page); err != nil {
		p.t.Fatal(err)
	}
	for _, key := range page.Data {
		if key.Name == name {
			return key.ID
		}
	}
	p.t.Fatalf("there is no key named %s in %+v", name, page.Data)
	return ""
}

// Each command changes what the running gateway does with the very next call.
func TestCommandTakesEffectOnTheNextCall(t *testing.T) {
	p := start(t, standard(t))
	key := p.keys("create", "--name", "ci", "--team", "build", "--limit", "5000/1h", "--limit", "4concurrent", "--expires", "30d")
	if !regexp.MustCompile(`^sp_[0-9a-f]{64}$`).MatchString(key) {
		t.Fatalf("create printed more than a key: %q", key)
	}
	p.want(key, true, "once created")
	id := p.keyID("ci")

	shown := p.keys("show", id)
	for _, part := range []string{id, "ci", "build", "5000/1h, 4concurrent", "active until "} {
		if !strings.Contains(shown, part) {
			t.Errorf("show does not show %q:\n%s", part, shown)
		}
	}
	if listed := p.keys("list"); !strings.Contains(listed, id) || !strings.Contains(listed, "default") || strings.Contains(listed, key) {
		t.Errorf("list shows\n%s", listed)
	}

	p.keys("revoke", id)
	p.want(key, false, "once revoked")
	if shown := p.keys("show", id); !strings.Contains(shown, "revoked") {
		t.Errorf("show does not say that the key is revoked:\n%s", shown)
	}
	p.keys("activate", id)
	p.want(key, true, "once activated")

	second := p.keys("rotate", id, "--grace", "1h")
	p.want(key, true, "within the grace period")
	p.want(second, true, "once rotated")
	third := p.keys("rotate", id)
	p.want(second, false, "once rotated without grace")
	p.want(third, true, "once rotated again")
	p.want(key, true, "within its own grace period still")

	p.keys("delete", id)
	for _, secret := range []string{key, second, third} {
		p.want(secret, false, "once deleted")
	}
	p.want(p.Key, true, "after all that, as another one,")
}

func TestCommandImportsAKeyOnceAndAgainWithoutHarm(t *testing.T) {
	p := start(t, standard(t))
	secret := "sp_" + strings.Repeat("0123456789abcdef", 4)
	p.want(secret, false, "before it is imported")
	if out := p.keys("import", "--key", secret, "--name", "moved", "--limit", "none"); !strings.Contains(out, " imported") {
		t.Errorf("import says %q", out)
	}
	poll(t, 10*time.Second, "the imported key to work, which the gateway has just refused", func() bool { return p.status(secret) == http.StatusOK })
	id := p.keyID("moved")
	if out := p.keys("import", "--key", secret, "--name", "other"); !strings.Contains(out, id) || !strings.Contains(out, "unchanged") {
		t.Errorf("the second import says %q", out)
	}
	var again struct {
		ID, Name string
		Created  *bool
	}
	if err := json.Unmarshal([]byte(p.keys("import", "--key", secret, "--json")), &again); err != nil || again.ID != id || again.Name != "moved" || again.Created == nil || *again.Created {
		t.Errorf("the third import, with --json, says %+v (%v)", again, err)
	}

	other := "sp_" + strings.Repeat("fedcba9876543210", 4)
	cmd := p.command(context.Background(), "llm", "keys", "import", "--key", "-", "--name", "piped")
	cmd.Stdin = strings.NewReader(other + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte(other)) {
		t.Errorf("the import from standard input: %v\n%s", err, out)
	}
	p.want(other, true, "once imported from standard input")
}

// With --json every command prints the key API's own object, and nothing beside it.
func TestCommandPrintsJSON(t *testing.T) {
	p := start(t, standard(t))
	object := func(args ...string) (key struct {
		ID, Key, Name string
		Active        bool
		Deleted       bool
	}) {
		t.Helper()
		if out := p.keys(append(args, "--json")...); json.Unmarshal([]byte(out), &key) != nil {
			t.Errorf("%q prints no JSON object: %s", args, out)
		}
		return key
	}
	made := object("create", "--name", "json")
	if !gatewaySecret.MatchString(made.Key) || made.Name != "json" || !made.Active {
		t.Fatalf("create: %+v", made)
	}
	if got := object("show", made.ID); got.ID != made.ID || got.Key != "" {
		t.Errorf("show: %+v", got)
	}
	if got := object("revoke", made.ID); got.ID != made.ID || got.Active {
		t.Errorf("revoke: %+v", got)
	}
	if got := object("activate", made.ID); got.ID != made.ID || !got.Active {
		t.Errorf("activate: %+v", got)
	}
	if got := object("rotate", made.ID); got.ID != made.ID || got.Key == made.Key || !gatewaySecret.MatchString(got.Key) {
		t.Errorf("rotate: %+v", got)
	}
	if got := object("delete", made.ID); got.ID != made.ID || !got.Deleted {
		t.Errorf("delete: %+v", got)
	}
}

// Where no gateway runs, the commands work on the store itself, and a gateway finds what they did.
func TestCommandWorksOnTheStoreWhereNoGatewayRuns(t *testing.T) {
	p := start(t, standard(t))
	revoked := p.newKey(map[string]any{"name": "to be revoked"})
	p.stop()

	made := p.keys("create", "--name", "offline")
	p.keys("revoke", p.keyID("to be revoked"))
	rotated := p.keys("rotate", p.keyID("default"), "--grace", "1h")
	secret := "sp_" + strings.Repeat("00c0ffee", 8)
	p.keys("import", "--key", secret, "--name", "imported")
	p.keys("import", "--key", secret, "--name", "imported")
	gone := p.keys("create", "--name", "gone")
	p.keys("delete", p.keyID("gone"))

	p.run()
	for what, c := range map[string]struct {
		key   string
		works bool
	}{
		"created": {made, true}, "revoked": {revoked, false}, "rotated": {rotated, true}, "in grace": {p.Key, true},
		"imported": {secret, true}, "deleted": {gone, false},
	} {
		p.want(c.key, c.works, what+" without a gateway")
	}
	if n := strings.Count(p.keys("list", "--json"), `"id"`); n != 4 {
		t.Errorf("there are %d keys, not 4", n)
	}
}

// Keys can be made before the first start, which then makes none.
func TestCommandMakesKeysBeforeTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	caddyfile := filepath.Join(dir, "gateway.conf")
	if err := os.WriteFile(caddyfile, []byte(standard(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "a", "b")
	env := []string{"GATEWAY_DATA=" + data}
	made := invoke(t, "", env, "llm", "keys", "create", "--config", caddyfile, "--adapter", "caddyfile")
	if made.err != nil || !gatewaySecret.MatchString(made.stdout) {
		t.Fatalf("create: %v\n%s%s", made.err, made.stdout, made.stderr)
	}
	info, err := os.Stat(filepath.Join(data, "gateway.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the store: %v %v", info, err)
	}
	listed := invoke(t, "", env, "llm", "keys", "list", "--config", caddyfile, "--adapter", "caddyfile", "--json")
	if listed.err != nil || strings.Count(listed.stdout, `"id"`) != 1 {
		t.Errorf("list: %v\n%s%s", listed.err, listed.stdout, listed.stderr)
	}
}

// --config finds the gateway from anywhere.
func TestCommandFindsTheGatewayByItsConfig(t *testing.T) {
	p := start(t, standard(t))
	got := invoke(t, "", p.env, "llm", "keys", "create", "--config", filepath.Join(p.Dir, "Caddyfile"))
	if got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.stderr)
	}
	p.want(strings.TrimSpace(got.stdout), true, "made from another directory")
}

var keyCommands = []string{"create", "list", "show", "revoke", "activate", "rotate", "delete", "import"}

func TestCommandHelpShowsAnExample(t *testing.T) {
	for _, name := range append([]string{""}, keyCommands...) {
		args := append(append([]string{"llm", "keys"}, strings.Fields(name)...), "--help")
		got := invoke(t, "", nil, args...)
		if got.err != nil {
			t.Errorf("%q: %v", args, got.err)
		}
		_, examples, _ := strings.Cut(got.stdout, "Examples:")
		if !strings.Contains(examples, "caddy llm keys "+name) {
			t.Errorf("%q shows no example:\n%s", args, got.stdout)
		}
	}
}

// A mistake ends in a status that is not zero and one line that says what to do; never in a page of help or a log.
func TestCommandMistakesAreOneLine(t *testing.T) {
	p := start(t, standard(t))
	id := p.keyID("default")
	for _, c := range []struct {
		args string
		says string
	}{
		{"", "key_3f9a0c51d2e84b7796a1c0de"},
		{"key_000000000000000000000000", "key"},
		{p.Key, "that is a key's secret"},
		{id + " " + id, "give one key's id"},
	} {
		for _, name := range []string{"show", "revoke", "activate", "rotate", "delete"} {
			checkMistake(t, p, name+" "+c.args, c.says)
		}
	}
	for args, says := range map[string]string{
		"create --limit 1000":             "write a limit as",
		"create --limit none --limit 1/h": "--limit none means no limit at all",
		"create --expires tomorrow":       "--expires",
		"create --expires -1h":            "--expires",
		"create extra":                    "extra",
		"create --budget 5usd":            "unknown flag: --budget",
		"import":                          "--key",
		"import --key sp_short":           "64 lowercase hexadecimal digits",
		"list extra":                      "extra",
		"lst":                             "lst",
		"rotate " + id + " --grace never": "grace",
		"list --config nowhere.conf":      "nowhere.conf",
	} {
		checkMistake(t, p, args, says)
	}
	p.want(p.Key, true, "after all those mistakes")
}

func checkMistake(t *testing.T, p *process, args, says string) {
	t.Helper()
	cmd := p.command(t.Context(), append([]string{"llm", "keys"}, strings.Fields(args)...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err == nil {
		t.Errorf("`llm keys %s` succeeds:\n%s", args, out.String())
		return
	}
	message := strings.TrimSuffix(errOut.String(), "\n")
	if out.Len() > 0 || strings.Contains(message, "\n") || !strings.Contains(message, says) {
		t.Errorf("`llm keys %s` does not say %q in one line (%v):\n%s%s", args, says, err, out.String(), errOut.String())
	}
	if strings.Contains(message, p.Key) {
		t.Errorf("`llm keys %s` repeats the secret: %s", args, message)
	}
}

// A container checks itself with this, without a shell.
func TestHealthCommandFindsTheGatewayByItsEnvironment(t *testing.T) {
	p := start(t, standard(t))
	out, err := p.caddy("llm", "health")
	if err != nil || !strings.HasPrefix(out, "gateway ") || !strings.Contains(out, "provider demo") {
		t.Errorf("%q and error %v", out, err)
	}
	p.stop()
	if out, err := p.caddy("llm", "health"); err == nil {
		t.Errorf("a gateway that has ended is well: %q", out)
	}
}
