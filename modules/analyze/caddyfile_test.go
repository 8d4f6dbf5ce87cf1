package analyze

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestTheDirectiveIsRead(t *testing.T) {
	for text, want := range map[string]string{
		`llm_analyze`:      "",
		"llm_analyze {\n}": "",
		"llm_analyze {\n default_provider anthropic\n }": "anthropic",
	} {
		var h Handler
		if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil || h.DefaultProvider != want {
			t.Errorf("%s: got %q, %v", text, h.DefaultProvider, err)
		}
	}
}

func TestAMistakeInTheDirectiveIsFound(t *testing.T) {
	for text, want := range map[string]string{
		`llm_analyze openai`:                                                   "argument",
		"llm_analyze {\n default_provider\n }":                                 "argument",
		"llm_analyze {\n default_provider a b\n }":                             "argument",
		"llm_analyze {\n default_provider a\n default_provider b\n }":          "twice",
		"llm_analyze {\n system \"You are a pirate\"\n default_provider a\n }": `unrecognized subdirective "system"`,
	} {
		var h Handler
		if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
