package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// A mistake in a Caddyfile is found when it is loaded, and by the earliest command that can find it: adapt, which names
// the line; validate, which names module and option; run, which names the server. The files of testdata/bad/<command>
// begin with what the error says. Where it names a line, "# here" stands on that line, or above it where a block begins.
func TestConfigMistakesAreErrorsOfLoading(t *testing.T) {
	for command, others := range map[string][]string{
		"adapt":    nil,
		"validate": {"adapt"},
		"start":    {"adapt", "validate"},
	} {
		files, err := filepath.Glob("testdata/bad/" + command + "/*.txt")
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("there are no mistakes for %s", command)
		}
		if command == "start" {
			command = "run"
		}
		for _, path := range files {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if formatted := caddyfile.Format(text); string(formatted) != string(text) {
					t.Errorf("it is not formatted; caddy fmt makes of it\n%s", formatted)
				}
				for _, other := range others {
					if got := load(t, other, path); got.err != nil {
						t.Errorf("%s finds the mistake already; move the file there:\n%s", other, got.stderr)
					}
				}
				want, line := expectation(t, string(text))
				got := load(t, command, path)
				if got.err == nil {
					t.Fatalf("%s takes it", command)
				}
				message := lastError(t, got.stderr)
				if !strings.Contains(message, want) {
					t.Errorf("the error does not say %q:\n%s", want, message)
				}
				if place := fmt.Sprintf("%s:%d", filepath.Base(path), line); line > 0 && !strings.Contains(message, place) {
					t.Errorf("the error does not name the line %s:\n%s", place, message)
				}
				if strings.Contains(got.stdout, "sp_") || strings.Contains(got.stdout, "sa_") {
					t.Errorf("credentials were made although the config is refused:\n%s", got.stdout)
				}
			})
		}
	}
}

// load has a command of the binary load a Caddyfile.
func load(t *testing.T, command, path string) outcome {
	t.Helper()
	return invoke(t, "", nil, command, "--config", absolute(t, path), "--adapter", "caddyfile")
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// expectation is what the error of a bad Caddyfile says, and which line it names; 0 for none.
func expectation(t *testing.T, text string) (want string, line int) {
	t.Helper()
	lines := strings.Split(text, "\n")
	want, ok := strings.CutPrefix(lines[0], "# error: ")
	if !ok {
		t.Fatal("the first line does not say what the error is")
	}
	for i := range lines {
		if strings.TrimSpace(lines[i]) == "# here" {
			return want, i + 2
		}
		if strings.HasSuffix(lines[i], "# here") {
			return want, i + 1
		}
	}
	return want, 0
}

// lastError is the message of the last entry of a log that is an error.
func lastError(t *testing.T, log string) string {
	t.Helper()
	var message string
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Level == "error" {
			message = entry.Msg
		}
	}
	if message == "" {
		t.Fatalf("there is no error in the log:\n%s", log)
	}
	return message
}

func TestARefusedConfigLeavesTheRunningOneAlone(t *testing.T) {
	config := site("\t\tprovider demo", "llm")
	p := start(t, config)
	for _, bad := range []string{
		site("\t\tprovider opnai", "llm"),
		site("\t\tprovider demo\n\t\tadmin_key {env.NOPE}", "llm"),
		site("\t\tprovider demo", "llm_auth\nllm_proxy"),
	} {
		p.configure(bad)
		if out, err := p.caddy("reload", "--config", "Caddyfile", "--adapter", "caddyfile"); err == nil {
			t.Errorf("the reload took\n%s\n%s", bad, out)
		}
		if got := p.do("POST", chatPath, p.Key, chatBody("demo", "")); got.Status != http.StatusOK {
			t.Errorf("after the refusal a call got %d %s", got.Status, got.Body)
		}
	}
}

// What a config holds are placeholders. Their values are in no form of the config that Caddy shows or writes.
func TestConfigShowsPlaceholdersAndNoSecrets(t *testing.T) {
	const providerSecret, adminSecret = "sk-canary-provider-5f1d", "admin-canary-88c2a7e6b1d04f35"
	global := "\t\tadmin_key {env.GATEWAY_ADMIN_KEY}\n\t\tprovider up openai {\n\t\t\tbase_url http://127.0.0.1:9/v1\n\t\t\tapi_key {env.UP_KEY}\n\t\t}"
	p := start(t, site(global, "llm"), "UP_KEY="+providerSecret, "GATEWAY_ADMIN_KEY="+adminSecret)

	adapted, err := p.caddy("adapt", "--config", "Caddyfile", "--adapter", "caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{"caddy adapt": adapted, "/config/": adminAPI(t, p, "/config/")}
	poll(t, 10*time.Second, "the saved config", func() bool {
		saved, err := filepath.Glob(filepath.Join(p.Dir, "*", "autosave.json"))
		if err != nil || len(saved) == 0 {
			return false
		}
		text, err := os.ReadFile(saved[0])
		forms["autosave.json"] = string(text)
		return err == nil && json.Valid(text)
	})
	for name, text := range forms {
		for _, placeholder := range []string{"{env.UP_KEY}", "{env.GATEWAY_ADMIN_KEY}"} {
			if !strings.Contains(text, placeholder) {
				t.Errorf("%s does not show %s:\n%s", name, placeholder, text)
			}
		}
		for _, secret := range []string{providerSecret, adminSecret, p.Key} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the secret %s", name, secret)
			}
		}
	}
	if got := p.do("GET", "/v1/api-keys/", adminSecret, ""); got.Status != http.StatusOK {
		t.Errorf("the admin credential behind the placeholder got %d %s", got.Status, got.Body)
	}
}
