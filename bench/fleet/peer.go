package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

// Peer is another gateway, running.
type Peer struct {
	*Process
	Name    string
	Note    string   // what of its features is on
	Headers []string // that its clients send beside a key, as pairs of name and value
	Key     string
}

// Peers are the ways to start other gateways, which are installed in a directory.
var Peers = []struct {
	Name  string
	Start func(f *Fleet, ctx context.Context, installed string, upstreamPort int) (*Peer, error)
}{
	{"one-api", (*Fleet).oneAPI},
	{"Portkey", (*Fleet).portkey},
	{"LiteLLM", (*Fleet).liteLLM},
}

const oneAPIVersion = "v0.6.10"

// oneAPI starts one-api with its embedded database, and makes a channel to the upstream.
func (f *Fleet) oneAPI(ctx context.Context, installed string, upstreamPort int) (*Peer, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	const token, access = "0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"
	p, err := f.Start(ctx, Command{
		Name: "one-api", Port: port, Cores: f.Cores.Server,
		Args: []string{filepath.Join(installed, "one-api"), "--port", strconv.Itoa(port)},
		Env:  []string{"TIKTOKEN_CACHE_DIR=" + filepath.Join(installed, "tokenizers"), "INITIAL_ROOT_TOKEN=" + token, "INITIAL_ROOT_ACCESS_TOKEN=" + access},
	})
	if err != nil {
		return nil, err
	}
	channel, err := json.Marshal(map[string]any{
		"type": 1, "name": "bench", "key": "none", "base_url": "http://" + Local(upstreamPort), "models": upstream.Model, "group": "default",
	})
	if err != nil {
		return nil, fmt.Errorf("making a channel: %w", err)
	}
	answer, err := ask(ctx, http.MethodPost, "http://"+p.Address()+"/api/channel/", access, channel)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(answer, []byte(`"success":true`)) {
		return nil, fmt.Errorf("making a channel of one-api: %s", answer)
	}
	return &Peer{Process: p, Name: "one-api " + oneAPIVersion, Key: "sk-" + token, Note: "its keys, quotas and log of usage, in SQLite"}, nil
}

// portkey starts Portkey's gateway, which is told by each request where the upstream is.
func (f *Fleet) portkey(ctx context.Context, installed string, upstreamPort int) (*Peer, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	module := filepath.Join(installed, "node_modules", "@portkey-ai", "gateway")
	version, err := npmVersion(module)
	if err != nil {
		return nil, err
	}
	p, err := f.Start(ctx, Command{
		Name: "Portkey's gateway", Port: port, Cores: f.Cores.Server,
		Args: []string{"node", filepath.Join(module, "build", "start-server.js"), "--headless", "--port=" + strconv.Itoa(port)},
		Env:  []string{"NODE_ENV=production", "TRUSTED_CUSTOM_HOSTS=127.0.0.1,localhost"},
	})
	if err != nil {
		return nil, err
	}
	return &Peer{
		Process: p, Name: "Portkey " + version, Key: "none", Note: "nothing: it has no keys, limits or usage without its service",
		Headers: []string{"x-portkey-provider", "openai", "x-portkey-custom-host", "http://" + Local(upstreamPort) + "/v1"},
	}, nil
}

func npmVersion(module string) (string, error) {
	text, err := os.ReadFile(filepath.Join(module, "package.json"))
	if err != nil {
		return "", fmt.Errorf("reading a package's version: %w", err)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", fmt.Errorf("reading a package's version: %w", err)
	}
	return manifest.Version, nil
}

const liteLLMConfig = `model_list:
  - model_name: %[1]s
    litellm_params:
      model: openai/%[1]s
      api_base: http://%[2]s/v1
      api_key: none
      rpm: 1000000000
general_settings:
  master_key: %[3]s
litellm_settings:
  telemetry: false
`

const liteLLMVersion = "1.94.3"

// liteLLM starts LiteLLM's proxy with one worker, as it has one core.
func (f *Fleet) liteLLM(ctx context.Context, installed string, upstreamPort int) (*Peer, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := f.Home()
	if err != nil {
		return nil, err
	}
	const key = "sk-0123456789abcdef"
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, liteLLMConfig, upstream.Model, Local(upstreamPort), key), 0o600); err != nil {
		return nil, fmt.Errorf("writing LiteLLM's config: %w", err)
	}
	p, err := f.Start(ctx, Command{
		Name: "LiteLLM", Port: port, Cores: f.Cores.Server, Dir: dir,
		Args: []string{filepath.Join(installed, "venv", "bin", "litellm"), "--config", config, "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--num_workers", "1"},
		Env:  []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR"},
	})
	if err != nil {
		return nil, err
	}
	return &Peer{Process: p, Name: "LiteLLM " + liteLLMVersion, Key: key,
		Note: "its master key and a limit of its model; keys, limits and usage of their own need its PostgreSQL, and are off"}, nil
}
