package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddytest"
)

var update = flag.Bool("update", false, "write the JSON that testdata/*.caddytest now adapt to")

const separator = "----------\n"

// adapt makes indented JSON of a Caddyfile, in this process.
func adapt(t *testing.T, text string) string {
	t.Helper()
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String()
}

// Each pair is a Caddyfile and the JSON that it means. `go test ./caddy -run Adapt -update` writes the latter.
func TestCaddyfilesAdaptToTheirJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddytest")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Error("there are no pairs")
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			pair, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text, want, ok := strings.Cut(string(pair), separator)
			if *update {
				if err := os.WriteFile(path, []byte(text+separator+adapt(t, text)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !ok {
				t.Fatalf("there is no line %q", separator)
			}
			if !caddytest.CompareAdapt(t, path, text, "caddyfile", strings.TrimSuffix(want, "\n")) {
				t.Error("it adapts to something else; see above")
			}
			if formatted := caddyfile.Format([]byte(text)); string(formatted) != text {
				t.Errorf("it is not formatted; caddy fmt makes of it\n%s", formatted)
			}
		})
	}
}

// secureOrder is the order in which directives of ours meet a request, whatever the order in which they are written.
var secureOrder = []string{"llm_health", "llm_keys", "llm_auth", "llm_rate_limit", "llm_analyze", "encode", "llm_cache", "llm_proxy"}

func TestTheOrderOfHandlersDoesNotDependOnTheOrderOfDirectives(t *testing.T) {
	for directives := range permutations(secureOrder) {
		got := handlers(adapt(t, ":8000 {\n"+strings.Join(directives, "\n")+"\n}\n"))
		if !slices.Equal(got, secureOrder) {
			t.Fatalf("written as %q the handlers are %q", directives, got)
		}
	}
}

func TestTheShorthandHasTheSameOrder(t *testing.T) {
	want := slices.DeleteFunc(slices.Clone(secureOrder), func(name string) bool { return name == "encode" })
	got := handlers(adapt(t, ":8000 {\nllm\n}\n"))
	if !slices.Equal(got, append([]string{"subroute"}, want...)) {
		t.Errorf("llm makes %q", got)
	}
}

var handlerName = regexp.MustCompile(`"handler": "([a-z_]+)"`)

// handlers are the handlers' names in JSON, in their order.
func handlers(config string) []string {
	var names []string
	for _, found := range handlerName.FindAllStringSubmatch(config, -1) {
		names = append(names, found[1])
	}
	return names
}

// permutations yields orders of words: each word in each place, before and behind each other one. All orders of eight
// words would take minutes and say no more.
func permutations(words []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for shift := range words {
			turned := slices.Concat(words[shift:], words[:shift])
			for _, reversed := range []bool{false, true} {
				order := slices.Clone(turned)
				if reversed {
					slices.Reverse(order)
				}
				for i := range order {
					for j := range i {
						swapped := slices.Clone(order)
						swapped[i], swapped[j] = swapped[j], swapped[i]
						if !yield(swapped) {
							return
						}
					}
				}
			}
		}
	}
}

// Go initialises packages in an order that follows imports, and Caddy puts a later registration before the earlier ones of
// the same anchor. So one table in one package, registered by one function, is the only order that imports cannot change.
func TestDirectivesGetTheirOrderInOnePlaceOnly(t *testing.T) {
	call := regexp.MustCompile(`\bRegisterDirectiveOrder\(`)
	var places []string
	walkRepository(t, func(path string) {
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range call.FindAll(source, -1) {
			places = append(places, path)
		}
	})
	if want := []string{filepath.FromSlash("../modules/modules.go")}; !slices.Equal(places, want) {
		t.Errorf("directives get their order in %s, not only in %s", fmt.Sprint(places), want)
	}
}
