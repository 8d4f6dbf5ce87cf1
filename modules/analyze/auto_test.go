package analyze

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func TestAnAliasMeansTheVendorsProviderWhateverItsName(t *testing.T) {
	const (
		local  = `{"name":"local","provider":{"module":"openai","default":"llama"}}`
		work   = `{"name":"work","provider":{"module":"openai","default":"gpt-5","vendor":true}}`
		claude = `{"name":"letters","provider":{"module":"anthropic","speaks":"anthropic","default":"sonnet"}}`
		cloud  = `{"name":"cloud","provider":{"module":"fake","speaks":"anthropic","default":"sonnet-cloud"}}`
		google = `{"name":"google","provider":{"module":"fake","speaks":"gemini","default":"flash"}}`
		demo   = `{"name":"demo","provider":{"module":"demo","default":"demo"}}`
		named  = `{"name":"openai","provider":{"module":"fake","default":"own"}}`
	)
	for _, tt := range []struct {
		providers []string
		name      string
		want      string // "" where it is refused
	}{
		{[]string{local, work}, "gpt-4", "work"}, // the vendor's own address goes first
		{[]string{local}, "gpt-4", "local"},
		{[]string{local, work, named}, "openai", "openai"}, // the config's own word goes before all
		{[]string{cloud, claude}, "claude", "letters"},
		{[]string{local, cloud}, "claude", "cloud"},
		{[]string{local, google}, "gemini", "google"},
		{[]string{local, claude}, "gemini", ""},
		{[]string{demo, claude}, "gpt", ""}, // the demo stands in for others only where it is alone
		{[]string{demo}, "gpt", "demo"},
	} {
		h := newHandler(t, `"providers":[`+strings.Join(tt.providers, ",")+`]`, `{}`)
		got, err := h.choices.resolve(t.Context(), tt.name, nil)
		if (err == nil) != (tt.want != "") || got.provider != tt.want {
			t.Errorf("%s with %v leads to %q, %v; want %q", tt.name, tt.providers, got.provider, err, tt.want)
		}
	}
}

// way is where a target's call goes, in order.
func way(t target) string {
	var names []string
	for _, targets := range [...][]gateway.Target{t.route.Targets, t.route.Fallbacks} {
		for _, to := range targets {
			names = append(names, to.Provider+"/"+to.Model)
		}
	}
	return strings.Join(names, " ")
}

func TestAutoGoesOnToTheOtherProviders(t *testing.T) {
	const three = `"providers":[{"name":"demo","provider":{"module":"demo","default":"demo"}},
		{"name":"a","provider":{"module":"fake","default":"x"}},{"name":"b","provider":{"module":"fake","default":"y"}}]`
	for _, tt := range []struct {
		handler string
		key     *gateway.Key
		want    string
	}{
		{`{"default_provider":"b"}`, nil, "b/y a/x"}, // the demo is in nobody's place
		{`{}`, nil, "demo/demo a/x b/y"},             // but where it is the first
		{`{"default_provider":"b"}`, &gateway.Key{}, "b/y a/x"},
		{`{"default_provider":"b"}`, &gateway.Key{Models: []string{"x"}}, "a/x"},
		{`{"default_provider":"b"}`, &gateway.Key{Models: []string{"z"}}, "b/y"}, // which the call then is not allowed
	} {
		h := newHandler(t, three, tt.handler)
		for range 2 { // what one call gets changes nothing for the next
			got, err := h.choices.resolve(t.Context(), auto, tt.key)
			if err != nil || way(got) != tt.want || got.route.AvailableFirst == (tt.key != nil && !tt.key.MayUse(got.model)) {
				t.Errorf("%s for %+v: %q, %v; want %q", tt.handler, tt.key, way(got), err, tt.want)
			}
			known, err := h.choices.known(t.Context(), auto, tt.key)
			if err != nil || way(known) != tt.want {
				t.Errorf("%s for %+v is known as %q, %v", tt.handler, tt.key, way(known), err)
			}
		}
	}
}

func TestAutoWaitsForNoListThatItCanDoWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, `"providers":[{"name":"down","provider":{"module":"fake"}},{"name":"a","provider":{"module":"fake","list":["x"]}},
			{"name":"b","provider":{"module":"fake","list":["y","z"]}}]`, `{}`)
		down, b := h.provider(t, "down"), h.provider(t, "b")
		down.fail.Store(dialect.Errorf(dialect.Unavailable, "down"))
		if _, err := h.choices.known(t.Context(), auto, nil); err == nil {
			t.Error("what has to be asked for is known")
		}
		release := make(chan struct{})
		b.leave = func() { <-release }
		got, err := h.choices.resolve(t.Context(), auto, nil)
		if err != nil || way(got) != "a/x" {
			t.Errorf("at first it is %q, %v", way(got), err)
		}
		close(release)
		synctest.Wait() // until the list is there that nobody waited for
		if got, err = h.choices.resolve(t.Context(), auto, nil); err != nil || way(got) != "a/x b/y" {
			t.Errorf("then it is %q, %v", way(got), err)
		}
		time.Sleep(rosterFor) // of the bubble's own time
		b.fail.Store(dialect.Errorf(dialect.Unavailable, "down"))
		if got, err = h.choices.resolve(t.Context(), auto, nil); err != nil || way(got) != "a/x b/y" {
			t.Errorf("with an old list it is %q, %v", way(got), err)
		}
		synctest.Wait()
	})
}

func TestWhereNobodyNamesAModelAutoFailsWithTheFirstReason(t *testing.T) {
	h := newHandler(t, `"providers":[{"name":"a","provider":{"module":"fake"}},{"name":"b","provider":{"module":"fake"}}]`, `{}`)
	h.provider(t, "a").fail.Store(&dialect.Error{Kind: dialect.UpstreamAuth, Message: "the provider refuses the gateway's credential"})
	if _, err := h.choices.resolve(t.Context(), auto, nil); err == nil || err.Kind != dialect.UpstreamAuth {
		t.Errorf("got %v", err)
	}
}

func TestAPatternOfTheConfigIsAProvidersName(t *testing.T) {
	h := newHandler(t, `"providers":[{"name":"a","provider":{"module":"openai","default":"x"}}],
		"models":[{"name":"gpt-*","targets":[{"provider":"a","model":"*"}]},{"name":"smart","aliases":["clever"],"targets":[{"provider":"a","model":"x"}]}]`, `{}`)
	for name, want := range map[string]string{"gpt-5": "a/gpt-5", "gpt-4": "a/x", "clever": "a/x"} { // gpt-4 is an alias of a provider
		got, err := h.choices.resolve(t.Context(), name, nil)
		if err != nil || way(got) != want {
			t.Errorf("%s leads to %q, %v", name, way(got), err)
		}
		if known, err := h.choices.known(t.Context(), name, nil); err != nil || way(known) != want {
			t.Errorf("%s is known as %q, %v", name, way(known), err)
		}
	}
	if _, err := h.choices.resolve(t.Context(), "claude", nil); err == nil || strings.Contains(err.Message, "*") || !strings.Contains(err.Message, "clever") {
		t.Errorf("those that are there: %v", err)
	}
}
