package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-llm/caddy-llm/"

// mayImport says for a package of the module, by its path in it, which others it may import, itself apart. Each looks
// inwards only: the binary at the modules, handlers, providers and stores at the hub, the hub at the vocabulary.
func mayImport(name string) []string {
	vocabulary := []string{"modules/dialect", "modules/dialect/*", "modules/sse"}
	switch dir := path.Dir(name); {
	case name == "caddy":
		return []string{"modules"}
	case name == "modules":
		return []string{"modules/*", "modules/providers/*", "modules/stores/*"}
	case name == "modules/sse", name == "modules/dialect", name == "modules/headroom":
		return nil
	case name == "modules/dialect/responses": // it is another API of OpenAI's, with the same errors
		return []string{"modules/dialect", "modules/dialect/openai"}
	case name == "modules/dialect/dialecttest":
		return []string{"modules/dialect", "modules/sse"}
	case dir == "modules/dialect":
		return []string{"modules/dialect"}
	case name == "modules/gateway":
		return append(vocabulary, "modules/headroom")
	case name == "modules/stores/sqlite", name == "modules/stores/postgres": // they keep the same tables
		return append(vocabulary, "modules/gateway", "modules/stores/sqlrow")
	case dir == "modules/providers/exchange":
		return append(vocabulary, "modules/gateway", "modules/providers/exchange")
	case name == "modules/providers/openai", name == "modules/providers/anthropic", name == "modules/providers/gemini",
		name == "modules/providers/azure", name == "modules/providers/bedrock", name == "modules/providers/vertex": // they are asked over HTTP
		return append(vocabulary, "modules/gateway", "modules/providers/exchange", "modules/providers/exchange/*")
	case dir == "modules", dir == "modules/providers", dir == "modules/stores":
		return append(vocabulary, "modules/gateway")
	}
	return []string{"*", "*/*", "*/*/*"} // what only tests have
}

func TestImportsGoOneWay(t *testing.T) {
	seen := 0
	for line := range strings.Lines(golist(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "../...")) {
		words := strings.Fields(strings.ReplaceAll(line, module, ""))
		name, imports := words[0], words[1:]
		seen++
		for _, imported := range imports {
			if imported != "modules" && !strings.HasPrefix(imported, "modules/") {
				continue // somebody else's
			}
			if !slices.ContainsFunc(mayImport(name), func(pattern string) bool {
				ok, err := path.Match(pattern, imported)
				return ok && err == nil
			}) {
				t.Errorf("%s imports %s, and may import only %q", name, imported, mayImport(name))
			}
		}
	}
	if seen < 10 {
		t.Errorf("go list found only %d packages", seen)
	}
}

// dialect and sse are plain Go: whoever reads or tests them needs to know nothing of Caddy.
func TestImportsOfTheVocabularyHoldNoCaddy(t *testing.T) {
	for line := range strings.Lines(golist(t, "-deps", "-f", "{{.ImportPath}}", "../modules/dialect", "../modules/dialect/openai", "../modules/sse")) {
		name := strings.TrimSpace(line)
		for _, outside := range []string{"github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/", module + "modules/gateway"} {
			if strings.HasPrefix(name, outside) {
				t.Errorf("dialect or sse depends on %s", name)
			}
		}
	}
}

// The vocabulary knows HTTP's numbers and how it writes a time, but serves and asks nothing.
func TestImportsOfHTTPInTheVocabularyAreForItsWords(t *testing.T) {
	for line := range strings.Lines(golist(t, "-f", `{{$p := .}}{{range .GoFiles}}{{$p.Dir}}/{{.}}{{"\n"}}{{end}}`, "../modules/dialect/...", "../modules/sse")) {
		if file := strings.TrimSpace(line); file != "" && path.Base(path.Dir(file)) != "dialecttest" { // which only tests have
			checkHTTPWords(t, file)
		}
	}
}

func checkHTTPWords(t *testing.T, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		used, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := used.X.(*ast.Ident); ok && from.Name == "http" && used.Sel.Name != "ParseTime" && !strings.HasPrefix(used.Sel.Name, "Status") {
			t.Errorf("%s uses http.%s", file, used.Sel.Name)
		}
		return true
	})
}

func golist(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}
