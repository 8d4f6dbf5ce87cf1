package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

// Upstream starts the provider that answers everything at once, or after a latency.
func (f *Fleet) Upstream(ctx context.Context, latency time.Duration) (*Process, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("looking for this program: %w", err)
	}
	return f.Start(ctx, Command{
		Name: "the upstream", Port: port, Cores: f.Cores.Load,
		Args: []string{self, "upstream", "-listen", Local(port), "-latency", latency.String()},
	})
}

// Redis starts a redis-server that keeps nothing on disk.
func (f *Fleet) Redis(ctx context.Context) (*Process, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	return f.Start(ctx, Command{
		Name: "redis-server", Port: port, Cores: f.Cores.Load,
		Args: []string{"redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"},
	})
}

// Caddy is a running Caddy, with or without the gateway.
type Caddy struct {
	*Process
	Admin int // the port of its admin endpoint
}

// Caddy starts a binary on a Caddyfile in which {{port}}, {{admin}} and {{dir}} are filled in, and further names from extra.
func (f *Fleet) Caddy(ctx context.Context, name, binary, caddyfile string, env []string, extra ...string) (*Caddy, error) {
	dir, err := f.Home()
	if err != nil {
		return nil, err
	}
	return f.CaddyIn(ctx, dir, name, binary, caddyfile, env, extra...)
}

// CaddyIn is Caddy with a directory that may hold the data of an earlier one.
func (f *Fleet) CaddyIn(ctx context.Context, dir, name, binary, caddyfile string, env []string, extra ...string) (*Caddy, error) {
	command, admin, err := f.caddyCommand(ctx, dir, name, binary, caddyfile, env, extra...)
	if err != nil {
		return nil, err
	}
	p, err := f.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	return &Caddy{Process: p, Admin: admin}, nil
}

func (f *Fleet) caddyCommand(ctx context.Context, dir, name, binary, caddyfile string, env []string, extra ...string) (Command, int, error) {
	port, err := FreePort(ctx)
	if err != nil {
		return Command{}, 0, err
	}
	admin, err := FreePort(ctx)
	if err != nil {
		return Command{}, 0, err
	}
	values := append([]string{"{{port}}", strconv.Itoa(port), "{{admin}}", strconv.Itoa(admin), "{{dir}}", dir}, extra...)
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(strings.NewReplacer(values...).Replace(caddyfile)), 0o600); err != nil {
		return Command{}, 0, fmt.Errorf("writing a Caddyfile: %w", err)
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return Command{}, 0, fmt.Errorf("looking for %s: %w", binary, err)
	}
	return Command{
		Name: name, Dir: dir, Env: env, Cores: f.Cores.Server, Port: port,
		Args: []string{binary, "run", "--config", config, "--adapter", "caddyfile"},
	}, admin, nil
}

// Allocations is how many objects the process has ever allocated, by Go's own count.
func (c *Caddy) Allocations(ctx context.Context) (int64, error) {
	var vars struct {
		Memstats struct{ Mallocs int64 } `json:"memstats"`
	}
	text, err := ask(ctx, http.MethodGet, "http://"+Local(c.Admin)+"/debug/vars", "", nil)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &vars); err != nil {
		return 0, fmt.Errorf("reading %s's allocations: %w", c.Name, err)
	}
	return vars.Memstats.Mallocs, nil
}

// Profile is where the process's time goes, as pprof reads it.
func (c *Caddy) Profile(ctx context.Context, d time.Duration) ([]byte, error) {
	return ask(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", Local(c.Admin), max(1, int(d.Seconds()))), "", nil)
}

const stockCaddyfile = `{
	admin 127.0.0.1:{{admin}}
	auto_https off
}
http://127.0.0.1:{{port}} {
	reverse_proxy {{upstream}}
}
http://127.0.0.1:{{respond}} {
	respond ` + "`{{answer}}`" + `
}
`

// Stock is a running Caddy as it comes.
type Stock struct {
	*Caddy
	Respond int // the port where it answers from its config, with the bytes of the upstream's whole answer
}

// Stock starts Caddy with a reverse_proxy to the upstream and nothing else, and on another port a respond and nothing else.
func (f *Fleet) Stock(ctx context.Context, binary string, upstreamPort int) (*Stock, error) {
	respond, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	caddy, err := f.Caddy(ctx, "stock Caddy", binary, stockCaddyfile, nil,
		"{{answer}}", string(upstream.Completion), "{{upstream}}", Local(upstreamPort), "{{respond}}", strconv.Itoa(respond))
	if err != nil {
		return nil, err
	}
	return &Stock{Caddy: caddy, Respond: respond}, caddy.holdsAlone(respond)
}

const gatewayCaddyfile = `{
	admin 127.0.0.1:{{admin}}
	auto_https off
	llm_gateway {
		data_dir {{dir}}/data
		{{store}}
		provider openai {
			base_url http://{{upstream}}/v1
			models ` + upstream.Model + ` ` + upstream.PacedModel + ` ` + upstream.LiveModel + `
		}
		provider anthropic {
			base_url http://{{upstream}}
			api_key none
			models ` + upstream.ClaudeModel + `
		}
	}
}
http://127.0.0.1:{{port}} {
	llm_health
	llm_keys
	llm_auth
	llm_rate_limit {
		requests 1_000_000_000 1h
	}
	llm_analyze
	llm_cache
	llm_proxy
}
`

// Gateway is a running gateway.
type Gateway struct {
	*Caddy
	AdminKey string
}

// Gateway starts ours with everything on: authentication, a limit of the route beside each key's own, the cache, metrics and
// usage, and all settings at their defaults. With a port of Redis, limits and answers are there.
func (f *Fleet) Gateway(ctx context.Context, binary string, upstreamPort, redisPort int) (*Gateway, error) {
	dir, err := f.Home()
	if err != nil {
		return nil, err
	}
	store := ""
	if redisPort != 0 {
		store = "store redis {\n\t\t\turl redis://" + Local(redisPort) + "\n\t\t}"
	}
	return f.GatewayWith(ctx, dir, binary, upstreamPort, store)
}

// GatewayWith is Gateway with a directory that may hold the keys of an earlier one, and with a store as the Caddyfile has it.
func (f *Fleet) GatewayWith(ctx context.Context, dir, binary string, upstreamPort int, store string) (*Gateway, error) {
	admin := make([]byte, 32)
	rand.Read(admin)
	adminKey := "sa_" + hex.EncodeToString(admin)
	caddy, err := f.CaddyIn(ctx, dir, "the gateway", binary, gatewayCaddyfile, []string{"GATEWAY_ADMIN_KEY=" + adminKey},
		"{{upstream}}", Local(upstreamPort), "{{store}}", store)
	if err != nil {
		return nil, err
	}
	return &Gateway{Caddy: caddy, AdminKey: adminKey}, nil
}

// Key makes a gateway key with the given limits, as in "1000/1h".
func (g *Gateway) Key(ctx context.Context, limits ...string) (string, error) {
	body, err := json.Marshal(map[string]any{"name": "bench", "limits": limits})
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	text, err := ask(ctx, http.MethodPost, "http://"+g.Address()+"/v1/api-keys/", g.AdminKey, body)
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	var made struct{ Key string }
	if err := json.Unmarshal(text, &made); err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	return made.Key, nil
}

// ask expects success.
func ask(ctx context.Context, method, url, key string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("asking %s: %d %.300s", url, response.StatusCode, text)
	}
	return text, nil
}
