package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// fence is a block of docs/API.md: its language, whether it is to fail, and its text.
var fence = regexp.MustCompile("(?ms)^```(\\w+)( error)?\n(.*?)\n```$")

// Each block of bash runs as it is written, against a gateway that runs the standard config. A block of JSON or HTTP behind it
// shows its answer.
func TestAPIDocsExamplesRun(t *testing.T) {
	text, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, standard(t))
	blocks := append(fence.FindAllStringSubmatch(string(text), -1), make([]string, 4))
	ran := 0
	for i, block := range blocks {
		if block[1] != "bash" {
			continue
		}
		ran++
		out := p.bash(strings.ReplaceAll(block[3], "http://localhost:8000", p.URL))
		if failed := strings.Contains(out, `{"error":`); failed != (block[2] != "") {
			t.Errorf("%s\nanswered\n%s", block[3], out)
		}
		var fault error
		switch shown := blocks[i+1]; shown[1] {
		case "json":
			fault = alike(shown[3], out)
		case "http":
			head, body, _ := strings.Cut(strings.ReplaceAll(out, "\r", ""), "\n\n")
			shownHead, shownBody, _ := strings.Cut(shown[3], "\n\n")
			fault = errors.Join(sameHead(shownHead, head), alike(shownBody, body))
		}
		if fault != nil {
			t.Errorf("%s\nanswered\n%s\nwhich is not as shown: %v", block[3], out, fault)
		}
	}
	if ran < 10 {
		t.Errorf("docs/API.md has %d blocks to run", ran)
	}
}

// bash runs a script in the gateway's directory, with the caddy under test and credentials at hand.
func (p *process) bash(script string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = p.Dir
	cmd.Env = append(slices.Clone(p.env), "KEY="+p.Key, "ADMIN="+p.Admin, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Errorf("%s\n%v: %s%s", script, err, out, &stderr)
	}
	return string(out)
}

// alike tells whether two JSON texts have the same members and types.
func alike(shown, answered string) error {
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(shown), &a), json.Unmarshal([]byte(answered), &b)); err != nil {
		return err
	}
	return alikeAt("", a, b)
}

func alikeAt(at string, a, b any) error {
	switch shown := a.(type) {
	case map[string]any:
		answered, ok := b.(map[string]any)
		if !ok || len(shown) != len(answered) {
			return fmt.Errorf("at %q: shown %v, answered %v", at, a, b)
		}
		for name := range shown {
			if err := alikeAt(at+"/"+name, shown[name], answered[name]); err != nil {
				return err
			}
		}
	case []any:
		answered, ok := b.([]any)
		if !ok || len(shown) > 0 != (len(answered) > 0) {
			return fmt.Errorf("at %q: shown %v, answered %v", at, a, b)
		}
		if len(shown) > 0 {
			return alikeAt(at+"/0", shown[0], answered[0])
		}
	default:
		if fmt.Sprintf("%T", a) != fmt.Sprintf("%T", b) {
			return fmt.Errorf("at %q: shown %v, answered %v", at, a, b)
		}
	}
	return nil
}

// sameHead tells whether an answer has the status and all headers that are shown.
func sameHead(shown, answered string) error {
	lines := strings.Split(strings.ToLower(answered), "\n")
	for i, line := range strings.Split(strings.ToLower(shown), "\n") {
		name, _, _ := strings.Cut(line, ":")
		if i == 0 && lines[0] != line || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, name) }) {
			return fmt.Errorf("%q is shown", line)
		}
	}
	return nil
}
