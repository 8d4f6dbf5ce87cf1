package openai

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/providers/providertest"
)

func TestModelsThatChatComeFirst(t *testing.T) {
	base := providertest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("asked was %s %s %v", r.Method, r.URL, r.Header)
		}
		providertest.Says(200, "application/json", `{"data":[{"id":"text-embedding-3"},{"id":"whisper-1"},{"id":"b","created":3,"owned_by":"me"},{"id":""},{"id":"A-Embed"},{"id":"a"}]}`)(w, r)
	})
	models, err := newProvider(t, base+"/v1", func(p *Provider) { p.APIKey = "k" }).Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range models {
		ids = append(ids, m.ID)
	}
	if got := strings.Join(ids, " "); got != "b a text-embedding-3 whisper-1 A-Embed" {
		t.Errorf("the order is %s", got)
	}
	if models[0].Created != 3 || models[0].OwnedBy != "me" {
		t.Errorf("the first is %+v", models[0])
	}
}

func TestConfig(t *testing.T) {
	providertest.RunConfig(t, providertest.Config{
		New:          func() providertest.Vendored { return new(Provider) },
		Base:         "https://api.openai.com/v1",
		BaseVariable: "OPENAI_BASE_URL",
		KeyVariables: []string{"OPENAI_API_KEY"},
		Model:        "gpt-4.1-mini",
		Models:       []string{"gpt-x", "claude-x"},
		List:         `{"data":[{"id":"b","created":3,"owned_by":"me"},{"id":""},{"id":"a"}]}`,
		Listed:       []gateway.ProviderModel{{ID: "b", Created: 3, OwnedBy: "me"}, {ID: "a"}},
		Options:      map[string]any{"structured_output json_object": "json_object", "surfaces chat audio": []any{"chat", "audio"}},
		Wrong:        map[string]string{"structured_output yaml": "is none of", "surfaces x": "is none of"},
	})
}
