package gateway

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAPatternsStarsStandForWhatTheyMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		stars         string // joined with a bar; "-" where the pattern does not have the name
	}{
		{"gpt-*", "gpt-5", "5"},
		{"gpt-*", "gpt-", ""},
		{"gpt-*", "gpt", "-"},
		{"gpt-*", "xgpt-5", "-"},
		{"*", "", ""},
		{"*", "a/b", "a/b"},
		{"*-mini", "gpt-5-mini", "gpt-5"},
		{"*-mini", "gpt-5-mini-x", "-"},
		{"fo::*:static::*", "fo::hi::static::you", "hi:|you"}, // each as little as it can
		{"a*b*c", "a1b2bc", "1|2b"},
		{"a*b*b", "ab", "-"},
		{"ab*ba", "aba", "-"},
		{"plain", "plain", ""},
		{"plain", "plainer", "-"},
		{"gpt-?", "gpt-5", "-"}, // only stars mean anything
	} {
		stars, ok := matchName(tt.pattern, tt.name)
		got := "-"
		if ok {
			got = strings.TrimRight(strings.Join(stars[:], "|"), "|")
		}
		if got != tt.stars {
			t.Errorf("%s and %s: %q, want %q", tt.pattern, tt.name, got, tt.stars)
		}
	}
}

// The oracle is regexp's leftmost-first match, whose lazy stars take as little as they can.
func TestPatternsMatchAsRegularExpressionsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*]{0,7}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab/]{0,10}`).Draw(t, "name")
		oracle := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "(.*?)") + "$").FindStringSubmatch(name)
		stars, ok := matchName(pattern, name)
		if ok != (oracle != nil) {
			t.Fatalf("%q and %q: %t", pattern, name, ok)
		}
		if !ok {
			return
		}
		if filled := fill(pattern, &stars); filled != name {
			t.Fatalf("%q filled with %q is %q, not %q", pattern, stars, filled, name)
		}
		for i, want := range oracle[1:] {
			if stars[i] != want {
				t.Fatalf("%q and %q: star %d is %q, want %q", pattern, name, i, stars[i], want)
			}
		}
	})
}

func TestPatternsLeadWhereTheConfigSays(t *testing.T) {
	app := newApp(t)
	to := func(target string) []Target {
		parsed, err := ParseTarget(target)
		if err != nil {
			t.Fatal(err)
		}
		return []Target{parsed}
	}
	app.Models = []*Model{
		{Name: "*", Targets: to("b/catch-all")},
		{Name: "gpt-*", Targets: to("b/*"), Fallbacks: to("a/x")},
		{Name: "gpt-4*", Targets: to("b/four*")},
		{Name: "gpt-*-mini", Targets: to("b/later")}, // the beginning of gpt-* is as long, and comes earlier
		{Name: "gpt-5", Aliases: []string{"best", "gpt-latest"}, Targets: to("a/x")},
		{Name: "team/*", Targets: to("b/*")},
		{Name: "team/llama-*", Targets: to("b/meta/Llama-*")},
		{Name: "x/*::*", Targets: to("b/*-*")},
	}
	if err := app.buildRoutes(); err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{
		"gpt-5":           "gpt-5: a/x*1 | |", // an exact name goes first
		"best":            "gpt-5: a/x*1 | |",
		"gpt-latest":      "gpt-5: a/x*1 | |",
		"gpt-6":           "gpt-*: b/gpt-6*1 | a/x*1 |", // a lone star is the whole name
		"gpt-6-mini":      "gpt-*: b/gpt-6-mini*1 | a/x*1 |",
		"gpt-4":           "gpt-4*: b/four*1 | |", // the longer beginning goes first
		"gpt-4.1-mini":    "gpt-4*: b/four.1-mini*1 | |",
		"team/gpt-6":      "team/*: b/gpt-6*1 | |", // less the pattern's own namespace
		"team/org/m":      "team/*: b/org/m*1 | |",
		"team/llama-3-8b": "team/llama-*: b/meta/Llama-3-8b*1 | |",
		"team/":           "*: b/catch-all*1 | |", // nothing is left for the target
		"x/one::two":      "x/*::*: b/one-two*1 | |",
		"a/x":             "*: b/catch-all*1 | |", // a model of the config stands before <provider>/<model>
	} {
		if got := describe(app.RouteTo(model)); got != want {
			t.Errorf("%s leads to %q, want %q", model, got, want)
		}
	}
	if route := app.RouteTo("gpt-6"); route.Own != "gpt-*" {
		t.Errorf("the route is of %q", route.Own)
	}
	if app.Models[1].Targets[0].Model != "*" {
		t.Error("a call has changed the config")
	}
}

func TestNamesOfAPatternAreThoseThatLeadToWhatAProviderLists(t *testing.T) {
	app := newApp(t)
	b := func(model string) []Target { return []Target{{Provider: "b", Model: model}} }
	app.Models = []*Model{
		{Name: "gpt-*", Targets: b("*")},
		{Name: "team/*", Targets: b("*"), Fallbacks: []Target{{Provider: "a", Model: "*"}}},
		{Name: "team/llama-*", Targets: b("meta/Llama-*")},
		{Name: "one-*", Targets: b("x")},
		{Name: "*::*", Targets: b("lost-*")},
		{Name: "gpt-5", Targets: b("gpt-5")},
	}
	if err := app.buildRoutes(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ pattern, provider, listed, want string }{
		{"gpt-*", "b", "gpt-6", "gpt-6"},
		{"gpt-*", "b", "claude", ""},
		{"gpt-*", "b", "gpt-5", ""}, // another model's
		{"gpt-*", "a", "gpt-6", ""},
		{"team/*", "b", "gpt-6", "team/gpt-6"},
		{"team/*", "a", "x", "team/x"},
		{"team/*", "b", "llama-3", ""}, // the longer pattern's
		{"team/llama-*", "b", "meta/Llama-3", "team/llama-3"},
		{"one-*", "b", "x", ""},
		{"*::*", "b", "lost-1", ""}, // what the other star was is not known
	} {
		up, _ := app.Upstream(tt.provider)
		at := 0
		for app.Models[at].Name != tt.pattern {
			at++
		}
		if got := strings.Join(app.NamesOf(app.Models[at], up, tt.listed), " "); got != tt.want {
			t.Errorf("%s of %s/%s: %q, want %q", tt.pattern, tt.provider, tt.listed, got, tt.want)
		}
	}
}

func TestAKeyMayUseWhatItsNamesAndPatternsSay(t *testing.T) {
	app := newApp(t)
	app.Models = []*Model{
		{Name: "smart", Aliases: []string{"gpt-4", "clever"}, Targets: []Target{{Provider: "a", Model: "x"}}},
		{Name: "gpt-*", Targets: []Target{{Provider: "b", Model: "*"}}},
	}
	if err := app.buildRoutes(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		allowed, name string
		want          bool
	}{
		{"smart", "smart", true},
		{"smart", "gpt-4", true}, // an alias of a model that the key may use
		{"smart", "clever", true},
		{"clever", "clever", true},
		{"clever", "smart", false}, // but not the model of an alias that it may use
		{"clever", "gpt-4", false},
		{"gpt-*", "gpt-4", true}, // by the name that the client asks for
		{"gpt-*", "gpt-6", true},
		{"gpt-*", "smart", false},
		{"gpt-6", "gpt-6", true},
		{"gpt-6", "gpt-7", false},
		{"*", "smart", true},
		{"*/x", "a/x", true},
		{"a*b*c*d*e*f*g*h*i*j*k", "abcdefghijk", true}, // more stars than a model's pattern may have
	} {
		key := &Key{Models: []string{"nothing", tt.allowed}}
		if got := key.MayAsk(tt.name, app.RouteTo(tt.name)); got != tt.want {
			t.Errorf("a key for %s and the model %s: %t", tt.allowed, tt.name, got)
		}
	}
}

func TestMatchingANameAllocatesNothing(t *testing.T) {
	key := &Key{Models: []string{"claude-*", "gpt-*-mini"}}
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := matchName("gpt-*-*", "gpt-5-mini"); !ok || !key.MayUse("gpt-5-mini") {
			t.Error("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRouteTo(b *testing.B) {
	app := newApp(b)
	app.Models = []*Model{{Name: "exact", Targets: []Target{{Provider: "b", Model: "y"}}}}
	for i := range 50 {
		app.Models = append(app.Models, &Model{Name: fmt.Sprintf("family%d/*-large", i), Targets: []Target{{Provider: "b", Model: "*"}}})
	}
	app.Models = append(app.Models,
		&Model{Name: "fixed-*", Targets: []Target{{Provider: "b", Model: "y"}}}, &Model{Name: "gpt-*", Targets: []Target{{Provider: "b", Model: "*"}}})
	if err := app.buildRoutes(); err != nil {
		b.Fatal(err)
	}
	for name, model := range map[string]string{
		"an exact name": "exact", "the last of 52 patterns, to a fixed model": "fixed-1", "the last of 52 patterns": "gpt-5",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if app.RouteTo(model) == nil {
					b.Fatal("it leads nowhere")
				}
			}
		})
	}
}
