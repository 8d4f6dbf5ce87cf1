package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A LiteLLM proxy's configuration becomes a Caddyfile that this binary takes, and its keys become keys of the gateway.
func TestALiteLLMConfigurationIsTakenOver(t *testing.T) {
	t.Parallel()
	p := start(t, standard(t))
	google := filepath.Join(p.Dir, "google.json")
	if err := os.WriteFile(google, []byte(`{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"small", "wildcards", "production", "clouds"} {
		made := name + ".Caddyfile"
		if _, err := p.caddy("llm", "import-litellm", absolute(t, "../modules/litellm/testdata/"+name+".yaml"), "--output", made); err != nil {
			t.Fatal(err)
		}
		env := p.env
		for _, variable := range []string{"OPENAI_API_KEY", "OPENAI_2_API_KEY", "ANTHROPIC_API_KEY", "AZURE_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY", "GATEWAY_ADMIN_KEY",
			"AZURE_AD_TOKEN", "AZURE_2_API_KEY", "BEDROCK_KEY_ID", "BEDROCK_SECRET_ACCESS_KEY", "BEDROCK_API_KEY", "GOOGLE_CLOUD_PROJECT"} {
			p.env = append(p.env, variable+"=of-a-test")
		}
		for _, variable := range []string{"VERTEX_CREDENTIALS", "VERTEX_AI_CREDENTIALS_FILE", "VERTEX_AI_2_CREDENTIALS_FILE"} {
			p.env = append(p.env, variable+"="+google)
		}
		p.env = append(p.env, "AZURE_API_BASE=https://example.openai.azure.com", "AWS_REGION=us-east-1", "AWS_CONFIG_FILE="+absolute(t, "../modules/litellm/testdata/aws.config"))
		p.env = append(p.env, "VLLM_BASE_URL=http://vllm.example.com/v1", "REDIS_URL=redis://127.0.0.1:1", "LITELLM_DATABASE_URL=postgres://127.0.0.1:1/gateway")
		_, err := p.caddy("validate", "--config", made, "--adapter", "caddyfile")
		p.env = env
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	if err := os.WriteFile(filepath.Join(p.Dir, "keys.json"), []byte(`{"keys":[{"key_alias":"ci","team_id":"core","rpm_limit":1,"models":["demo*"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	config := absolute(t, "../modules/litellm/testdata/small.yaml")
	if _, err := p.caddy("llm", "import-litellm", config, "--output", "other.Caddyfile", "--keys", "keys.json", "--keys-output", "keys.sh"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.caddy("llm", "import-litellm", config, "--output", "other.Caddyfile"); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a file is overwritten: %v", err)
	}
	script := exec.Command("/bin/sh", "keys.sh")
	script.Dir, script.Env = p.Dir, append(p.env, "PATH="+filepath.Dir(binary)+":/usr/bin:/bin")
	out, err := script.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key := strings.TrimSpace(string(out))
	body := `{"model":"demo","messages":[{"role":"user","content":"Hello"}]}`
	if resp := p.do("POST", "/v1/chat/completions", key, body); resp.Status != http.StatusOK {
		t.Errorf("the key's first call is answered %d %s", resp.Status, resp.Body)
	}
	if resp := p.do("POST", "/v1/chat/completions", key, body); resp.Status != http.StatusTooManyRequests {
		t.Errorf("beyond its limit it is answered %d %s", resp.Status, resp.Body)
	}
}
