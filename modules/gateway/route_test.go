package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestModelsLeadWhereTheConfigSays(t *testing.T) {
	app := newApp(t)
	app.Models = []*Model{
		{Name: "own", Targets: []Target{{Provider: "b", Model: "deep/seek"}, {Provider: "a", Model: "x", Weight: 3}}, Fallbacks: []Target{{Provider: "a", Model: "x"}}},
		{Name: "a/x", Targets: []Target{{Provider: "b", Model: "hidden"}}},
	}
	if err := app.buildRoutes(); err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{
		"own":       "own: b/deep/seek*1 a/x*3 | a/x*1 |",
		"a/x":       "a/x: b/hidden*1 | |", // a model of the config stands before <provider>/<model>
		"x":         "x: a/x*1 | |",
		"b/x":       "_other: b/x*1 | |",
		"b/org/x":   "_other: b/org/x*1 | |",
		"a/unknown": "_other: b/a/unknown*1 | |", // a does not serve it, b everything
		"unknown":   "_other: b/unknown*1 | |",
	} {
		if got := describe(app.RouteTo(model)); got != want {
			t.Errorf("%s leads to %q, want %q", model, got, want)
		}
	}
	app.Upstreams = app.Upstreams[:1]
	if route := app.RouteTo("unknown"); route != nil || app.HasModel("unknown") || !app.HasModel("x") {
		t.Errorf("nobody serves it, but it leads to %q", describe(route))
	}
	up, _ := app.Upstream("a")
	if got := describe(app.RouteVia(up, "")); got != "x: a/x*1 | |" {
		t.Errorf("the default leads to %q", got)
	}
}

func describe(route *Route) string {
	if route == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(route.Name + ":")
	for _, list := range [][]Target{route.Targets, route.Fallbacks} {
		for _, target := range list {
			if target.Upstream() == nil || target.Upstream().Name != target.Provider {
				return "a target without its provider"
			}
			fmt.Fprintf(&b, " %s/%s*%d", target.Provider, target.Model, target.Weight)
		}
		b.WriteString(" |")
	}
	return b.String()
}

func TestModelsThatLeadNowhere(t *testing.T) {
	good := []Target{{Provider: "a", Model: "x"}}
	for want, models := range map[string][]*Model{
		"a name is missing":       {{Targets: good}},
		"m is given twice":        {{Name: "m", Targets: good}, {Name: "m", Targets: good}},
		"has no target":           {{Name: "m"}},
		"there is no provider":    {{Name: "m", Targets: []Target{{Provider: "c", Model: "x"}}}},
		`the config has: a, b`:    {{Name: "m", Targets: good, Fallbacks: []Target{{Provider: "c", Model: "x"}}}},
		"two stars in a row":      {{Name: "m**", Targets: good}},
		"9 stars are too many":    {{Name: "*a*a*a*a*a*a*a*a*", Targets: good}},
		"and it has none":         {{Name: "m", Targets: []Target{{Provider: "a", Model: "x*"}}}},
		"it has 2 stars":          {{Name: "m*", Targets: good, Fallbacks: []Target{{Provider: "a", Model: "*x*"}}}},
		"model m* is given twice": {{Name: "m*", Targets: good}, {Name: "m*", Targets: good}},
		"model n is given twice":  {{Name: "m", Aliases: []string{"n"}, Targets: good}, {Name: "n", Targets: good}},
		"an alias is one name":    {{Name: "m", Aliases: []string{"n*"}, Targets: good}},
		"an alias is empty":       {{Name: "m", Aliases: []string{""}, Targets: good}},
		"has no aliases":          {{Name: "m*", Aliases: []string{"n"}, Targets: good}},
		"weight -1 is negative":   {{Name: "m", Targets: []Target{{Provider: "a", Model: "x", Weight: -1}}}},
	} {
		app := newApp(t)
		app.Models = models
		if err := app.buildRoutes(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

func TestResolveChecksTheKey(t *testing.T) {
	app := newApp(t)
	app.Upstreams = app.Upstreams[:1]
	for _, tt := range []struct {
		model string
		key   *Key
		kind  dialect.Kind
	}{
		{"x", nil, ""},
		{"x", &Key{}, ""},
		{"x", &Key{Models: []string{"y", "x"}}, ""},
		{"x", &Key{Models: []string{"y"}}, dialect.Permission},
		{"a/x", &Key{Models: []string{"x"}}, dialect.Permission}, // by the name that the client asks for
		{"y", &Key{Models: []string{"y"}}, dialect.ModelNotFound},
		{strings.Repeat("ä", 5000), nil, dialect.ModelNotFound},
	} {
		call, _, _ := enter(t, app, http.MethodPost, "/v1/chat/completions", "")
		call.Model, call.Key = tt.model, tt.key
		err := call.Resolve()
		if (err == nil) != (tt.kind == "") || err != nil && (err.Kind != tt.kind || err.Field != "model" || len(err.Message) > 300) {
			t.Errorf("%.10s by %+v: %v", tt.model, tt.key, err)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{"a/x": "a|x", "a/org/x:7b": "a|org/x:7b", "a": "", "/x": "", "a/": "", "": ""} {
		target, err := ParseTarget(text)
		if (err == nil) != (want != "") || err == nil && target.Provider+"|"+target.Model != want {
			t.Errorf("%q is %+v, %v", text, target, err)
		}
	}
}

func TestStatusFollowsAProvidersFailures(t *testing.T) {
	broken := &dialect.Error{Kind: dialect.Unavailable, Retryable: true}
	synctest.Test(t, func(t *testing.T) {
		up := new(Upstream)
		step := func(what string, err error, want string) {
			t.Helper()
			if up.Observe(err); up.Status() != want {
				t.Errorf("%s: it is %s, want %s", what, up.Status(), want)
			}
		}
		step("success", nil, "available")
		step("one failure", broken, "degraded")
		step("the client's own mistake", dialect.Errorf(dialect.InvalidRequest, "x"), "degraded")
		step("two failures", dialect.Errorf(dialect.UpstreamFailed, "x"), "degraded")
		step("three failures", broken, "unavailable")
		step("a client who left", context.Canceled, "unavailable")
		step("success again", nil, "available")
		for range 5 {
			step("clients who left in the middle", &dialect.Error{Kind: dialect.UpstreamFailed, Cause: context.Canceled}, "available")
		}
		step("an error of nobody's", errors.New("x"), "available")

		for range 3 {
			up.Observe(broken)
		}
		time.Sleep(failureMemory) // of the bubble's own time
		if up.Status() != "unavailable" {
			t.Errorf("after %s it is %s", failureMemory, up.Status())
		}
		time.Sleep(time.Nanosecond)
		if up.Status() != "available" {
			t.Errorf("long after its failures it is %s", up.Status())
		}
	})
}
