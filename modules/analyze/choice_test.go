package analyze

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const threeProviders = `"providers":[
	{"name":"openai","provider":{"module":"fake","default":"gpt-5"}},
	{"name":"anthropic","provider":{"module":"fake","default":"sonnet"}},
	{"name":"local","provider":{"module":"fake","list":["llama","bge"]}}],
	"models":[{"name":"fast","targets":[{"provider":"local","model":"llama"},{"provider":"openai","model":"gpt-5-mini"}]},
	          {"name":"gpt","targets":[{"provider":"local","model":"llama"}]},
	          {"name":"local","targets":[{"provider":"openai","model":"gpt-5"}]}]`

func TestAProvidersNameLeadsWhereTheConfigSays(t *testing.T) {
	tests := []struct{ config, handler, name, provider, model string }{
		{threeProviders, `{}`, "auto", "openai", "gpt-5"},
		{threeProviders, `{"default_provider":"anthropic"}`, "auto", "anthropic", "sonnet"},
		{threeProviders, `{"default_provider":"anthropic"}`, "openai", "openai", "gpt-5"},
		{threeProviders, `{}`, "gpt-4", "openai", "gpt-5"},
		{threeProviders, `{}`, "claude", "anthropic", "sonnet"},
		{threeProviders, `{}`, "anthropic", "anthropic", "sonnet"},
		{threeProviders, `{}`, "local", "local", "llama"}, // the provider, and its first model, since it has no default
		{threeProviders, `{}`, "fast", "", "fast"},        // a model of the config
		{threeProviders, `{}`, "gpt", "", "gpt"},          // a model goes before an alias
		{demoOnly, `{}`, "auto", "demo", "demo"},
		{demoOnly, `{}`, "demo", "demo", "demo"},
		{demoOnly, `{}`, "gemini", "demo", "demo"},
		{demoOnly, `{}`, "claude", "demo", "demo"},
		{demoOnly, `{}`, "gpt-4", "demo", "demo"},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.handler, func(t *testing.T) {
			h := newHandler(t, test.config, test.handler)
			got, err := h.choices.resolve(t.Context(), test.name, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.provider != test.provider || got.model != test.model || got.route == nil {
				t.Fatalf("got %+v", got)
			}
			if test.name == auto {
				return
			}
			if got.provider != "" && (len(got.route.Targets) != 1 || got.route.Targets[0].Provider != test.provider || got.route.Targets[0].Model != test.model) {
				t.Errorf("the route leads to %+v", got.route.Targets)
			}
		})
	}
}

func TestAProviderThatIsNotThereIsRefusedWithThoseThatAre(t *testing.T) {
	h := newHandler(t, threeProviders, `{}`)
	for _, name := range []string{"gemini", "demo", "gpt-5", "", "no-such-provider", "openai/gpt-5"} {
		_, err := h.choices.resolve(t.Context(), name, nil)
		if err == nil {
			t.Errorf("%q leads somewhere", name)
			continue
		}
		if err.HTTPStatus() != 422 || err.Field != "llm_provider" || !strings.HasSuffix(err.Message, "auto, anthropic, claude, fast, gpt, gpt-4, local, openai") {
			t.Errorf("%q: %d at %q: %s", name, err.HTTPStatus(), err.Field, err.Message)
		}
	}
}

func TestADefaultProviderThatIsNotThereIsFoundWhenTheConfigIsLoaded(t *testing.T) {
	_, err := tryHandler(t, threeProviders, `{"default_provider":"mistral"}`)
	if err == nil || !strings.Contains(err.Error(), "openai, anthropic, local") {
		t.Errorf("got %v", err)
	}
}

func TestAProvidersListIsAskedForOnceInAWhile(t *testing.T) {
	h := newHandler(t, threeProviders, `{}`)
	local := h.provider(t, "local")
	up, _ := h.app.Upstream("local")
	r := h.choices.rosters[up]
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }

	ask := func(want string, wantErr error, asked int64) {
		t.Helper()
		models, err := r.models(t.Context())
		if strings.Join(models, " ") != want || !errors.Is(err, wantErr) || local.asked.Load() != asked {
			t.Errorf("got %v, %v; asked %d times, want %d", models, err, local.asked.Load(), asked)
		}
	}
	down := dialect.Errorf(dialect.Unavailable, "down")
	local.fail.Store(down)
	ask("", down, 1)
	ask("", down, 1) // it is left alone for a moment
	now = now.Add(rosterRetry)
	local.fail.Store(nil)
	ask("llama bge", nil, 2)
	now = now.Add(rosterFor - 1)
	ask("llama bge", nil, 2)
	now = now.Add(1)
	local.fail.Store(down)
	ask("llama bge", nil, 3) // what was known stands
	now = now.Add(rosterRetry)
	local.fail.Store(nil)
	ask("llama bge", nil, 4)
}

func TestACallerWhoLeavesSpoilsNobodysList(t *testing.T) {
	h := newHandler(t, threeProviders, `{}`)
	up, _ := h.app.Upstream("local")
	gone, leave := context.WithCancel(t.Context())
	local := h.provider(t, "local")
	local.leave = leave
	if _, err := h.choices.rosters[up].models(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	local.leave = nil
	if models, err := h.choices.rosters[up].models(t.Context()); err != nil || len(models) != 2 {
		t.Errorf("the next caller got %v, %v", models, err)
	}
}

func TestAProviderThatCannotNameAModelFailsTheCallInItsOwnWords(t *testing.T) {
	h := newHandler(t, `"providers":[{"name":"a","provider":{"module":"fake"}},{"name":"b","provider":{"module":"fake"}}]`, `{}`)
	h.provider(t, "a").fail.Store(&dialect.Error{Kind: dialect.UpstreamAuth, Message: "the provider refuses the gateway's credential"})
	if _, err := h.choices.resolve(t.Context(), "a", nil); err == nil || err.Kind != dialect.UpstreamAuth {
		t.Errorf("got %v", err)
	}
	if _, err := h.choices.resolve(t.Context(), "b", nil); err == nil || err.HTTPStatus() != 503 {
		t.Errorf("got %v", err)
	}
}
