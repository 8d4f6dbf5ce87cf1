package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	gatewaySecret = regexp.MustCompile(`sp_[0-9a-f]{64}`)
	adminSecret   = regexp.MustCompile(`sa_[0-9a-f]{64}`)
	curlLine      = regexp.MustCompile(`(?m)^ *(curl .*)$`)
)

// analysis is what a client of the structured prompt surface reads.
type analysis struct {
	Data      struct{ Intent string }
	Cached    bool
	LatencyMS int `json:"latency_ms"`
}

// paste runs a line in a shell, as somebody does who copies it, and reads the answer.
func paste(t *testing.T, line string) analysis {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var got analysis
	if err := json.Unmarshal(out, &got); err != nil || got.Data.Intent == "" {
		t.Fatalf("%s answered %q, in which there is no data.intent (%v)", line, out, err)
	}
	return got
}

// From nothing to an answer, by what the first start prints.
func TestFirstStartPrintsWhatIsNeededOnceAndItWorks(t *testing.T) {
	p := start(t, standard(t))
	first := p.out.String()
	for what, pattern := range map[string]*regexp.Regexp{
		"the key":                   regexp.MustCompile(`gateway key +` + p.Key),
		"the admin credential":      regexp.MustCompile(`admin credential +` + p.Admin),
		"a line to try it":          curlLine,
		"that it is shown only now": regexp.MustCompile(`shown only now`),
	} {
		if n := len(pattern.FindAllString(first, -1)); n != 1 {
			t.Errorf("the first start shows %s %d times, not once:\n%s", what, n, first)
		}
	}
	if n := len(adminSecret.FindAllString(first, -1)); n != 1 {
		t.Errorf("the admin credential is there %d times", n)
	}
	if keys := gatewaySecret.FindAllString(first, -1); !slices.Equal(keys, []string{p.Key, p.Key}) { // by itself, and in the curl line
		t.Errorf("the keys that the first start prints are %q", keys)
	}

	found := curlLine.FindStringSubmatch(first)
	if found == nil {
		t.Fatal("there is no line to try it")
	}
	if !strings.Contains(found[1], p.URL[strings.LastIndex(p.URL, ":"):]+"/v1/analyze/") {
		t.Errorf("the line does not lead to where the gateway listens: %s", found[1])
	}
	if paste(t, found[1]).Cached {
		t.Error("the first answer came from the cache")
	}
	const repeats = 20
	took := make([]int, repeats)
	for i := range took {
		again := paste(t, found[1])
		if !again.Cached {
			t.Fatalf("answer %d to the same prompt did not come from the cache", i+2)
		}
		took[i] = again.LatencyMS
	}
	slices.Sort(took)
	if median := took[repeats/2]; median > 1 && !raceEnabled {
		t.Errorf("half of the cached answers took more than %d ms: %v", median, took)
	}

	p.stop()
	p.run()
	if again := p.out.String(); gatewaySecret.MatchString(again) || adminSecret.MatchString(again) || curlLine.MatchString(again) {
		t.Errorf("the second start shows what only the first may:\n%s", again)
	}
	if got := p.do("POST", "/v1/analyze/", p.Key, `{"prompt":"hello"}`); got.Status != http.StatusOK {
		t.Errorf("after a restart the key gets %d %s", got.Status, got.Body)
	}
	if got := p.do("GET", "/v1/api-keys/", p.Admin, ""); got.Status != http.StatusOK || strings.Count(got.Body, `"id"`) != 1 {
		t.Errorf("after a restart the admin credential gets %d %s", got.Status, got.Body)
	}
}

func TestFirstStartMakesNoAdminCredentialWhereOneIsGiven(t *testing.T) {
	const given = "an-admin-credential-of-the-operator-7d1b"
	p := start(t, standard(t), "GATEWAY_ADMIN_KEY="+given)
	if out := p.out.String(); adminSecret.MatchString(out) || strings.Contains(out, "admin credential") || strings.Contains(out, given) {
		t.Errorf("the first start shows an admin credential:\n%s", out)
	}
	if got := p.do("GET", "/v1/api-keys/", given, ""); got.Status != http.StatusOK {
		t.Errorf("the given admin credential got %d %s", got.Status, got.Body)
	}
}

func TestFirstStartsSideBySideShareNothing(t *testing.T) {
	a, b := start(t, standard(t)), start(t, standard(t))
	if a.Key == b.Key || a.Admin == b.Admin {
		t.Fatal("two gateways made the same credentials")
	}
	for _, c := range []struct {
		gateway *process
		key     string
		want    int
	}{{a, a.Key, 200}, {b, b.Key, 200}, {a, b.Key, 401}, {b, a.Key, 401}} {
		if got := c.gateway.do("GET", "/v1/models", c.key, ""); got.Status != c.want {
			t.Errorf("%s got %d, not %d: %s", c.gateway.URL, got.Status, c.want, got.Body)
		}
	}
	out, err := a.caddy("llm", "keys", "list", "--json")
	if err != nil || strings.Count(out, `"id"`) != 1 {
		t.Errorf("one gateway's keys are %s (%v)", out, err)
	}
}

func TestFirstStartKeepsItsDataForItsOwnerAlone(t *testing.T) {
	p := start(t, standard(t))
	data := filepath.Join(p.Dir, "data")
	for name, want := range map[string]fs.FileMode{"": 0o700, "gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("data/%s has mode %o, not %o", name, got, want)
		}
	}
	// The admin endpoint's socket is in there too, although Caddy opens it before any app starts.
	if info, err := os.Stat(filepath.Join(data, "admin.sock")); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the admin endpoint's socket: %v %v", info, err)
	}
	p.reload() // goes by that socket
}

func TestFirstStartSaysThatItsDataDirectoryCannotBeMade(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(blocked, "data")
	env := []string{fmt.Sprintf("GATEWAY_ADDR=:%d", freePort(t)), "GATEWAY_DATA=" + data}
	for name, text := range map[string]string{
		"admin endpoint in it": standard(t),
		"admin endpoint off":   strings.Replace(standard(t), "admin unix/{$GATEWAY_DATA:./data}/admin.sock", "admin off", 1),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := invoke(t, "", env, "run", "--config", file, "--adapter", "caddyfile")
			if got.err == nil {
				t.Fatal("it ended well")
			}
			message := lastError(t, got.stderr)
			if !strings.Contains(message, "making the data directory") || !strings.Contains(message, data) && !strings.Contains(message, blocked) {
				t.Errorf("the error is not clear: %s", message)
			}
			if gatewaySecret.MatchString(got.stdout) {
				t.Errorf("a key was shown that was not kept:\n%s", got.stdout)
			}
		})
	}
}
