package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outcome is how a run of the binary ended.
type outcome struct {
	stdout, stderr string
	err            error
}

// invoke runs the binary to its end in a directory of its own, with nothing in its environment but PATH and env.
func invoke(t *testing.T, stdin string, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out, errOut strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	err := cmd.Run()
	return outcome{out.String(), errOut.String(), err}
}

// checkCaddyfile checks what holds for every Caddyfile that people read: it is formatted, adapts where no variable is set,
// and validates where all are.
func checkCaddyfile(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := invoke(t, text, nil, "fmt", "-"); got.stdout != text {
		t.Errorf("it is not formatted; caddy fmt (%v) makes of it\n%s", got.err, got.stdout)
	}
	if got := invoke(t, "", nil, "adapt", "--config", file, "--adapter", "caddyfile"); got.err != nil {
		t.Errorf("it does not adapt in an empty environment: %v\n%s", got.err, got.stderr)
	}
	if got := invoke(t, "", dummies(text), "validate", "--config", file, "--adapter", "caddyfile"); got.err != nil {
		t.Errorf("it does not validate: %v\n%s", got.err, got.stderr)
	}
}

var variable = regexp.MustCompile(`\{(?:\$|env\.)([A-Za-z_][A-Za-z0-9_]*)(:?)`)

// dummies is an environment that sets every variable of a Caddyfile that has no default, and those that modules read without
// being told.
func dummies(text string) []string {
	const dummy = "=dummy-0123456789abcdef0123456789abcdef"
	env := []string{"OPENAI_API_KEY" + dummy, "REDIS_URL=redis://localhost", "DATABASE_URL=postgres://localhost/gateway"}
	for _, found := range variable.FindAllStringSubmatch(text, -1) {
		if found[2] == "" && !slices.ContainsFunc(env, func(set string) bool { return strings.HasPrefix(set, found[1]+"=") }) {
			env = append(env, found[1]+dummy)
		}
	}
	return env
}

// walkRepository visits the files of the repository that people wrote.
func walkRepository(t *testing.T, visit func(path string)) {
	t.Helper()
	others := []string{".git", "node_modules", ".cache", ".venv", "bin", "data", "results"}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(others, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		visit(path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryCaddyfileIsFormattedAdaptsAndValidates(t *testing.T) {
	var files []string
	walkRepository(t, func(path string) {
		if strings.HasSuffix(path, "Caddyfile") {
			files = append(files, path)
		}
	})
	for _, name := range []string{"../Caddyfile", "production.Caddyfile", "fleet.Caddyfile"} {
		if !slices.Contains(files, name) && !slices.Contains(files, "../caddy/"+name) {
			t.Errorf("the walk missed %s among %q", name, files)
		}
	}
	for _, path := range files {
		t.Run(path, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkCaddyfile(t, string(text))
		})
	}
}

// caddyfileBlocks are the ```caddyfile blocks of a page, by their line.
func caddyfileBlocks(page string) map[int]string {
	blocks := make(map[int]string)
	start := 0
	var block strings.Builder
	for i, line := range strings.SplitAfter(page, "\n") {
		switch fence := strings.TrimSpace(line); {
		case start == 0 && fence == "```caddyfile":
			start = i + 1
			block.Reset()
		case start > 0 && fence == "```":
			blocks[start] = block.String()
			start = 0
		case start > 0:
			block.WriteString(line)
		}
	}
	return blocks
}

func TestEveryCaddyfileInTheDocumentationIsFormattedAdaptsAndValidates(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../README.md"); err == nil {
		pages = append(pages, "../README.md")
	}
	found := 0
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line, block := range caddyfileBlocks(string(page)) {
			found++
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(path), line), func(t *testing.T) {
				t.Parallel()
				checkCaddyfile(t, block)
			})
		}
	}
	if found == 0 {
		t.Error("the documentation has no Caddyfile at all")
	}
}
