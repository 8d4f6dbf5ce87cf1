package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the gateway's binary, built once for all tests of this package, with the race detector where they have it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "caddy-llm-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "caddy")
		args := []string{"build", "-o", binary}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, ".")...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the binary:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a running gateway.
type process struct {
	t     *testing.T
	URL   string
	Dir   string // its working directory: Caddyfile and data are in it
	Key   string // the key of the first start
	Admin string // the admin credential of the first start

	cmd    *exec.Cmd
	env    []string
	out    *output
	exited chan struct{}
}

// output keeps what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// standard is the repository's own Caddyfile.
func standard(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// site is a Caddyfile with the given global block of llm_gateway and the given site block. {$GATEWAY_ADDR} and the admin
// socket are set up as in the standard one.
func site(global, block string) string {
	return "{\n\tadmin unix/{$GATEWAY_DATA}/admin.sock\n\tauto_https off\n\tgrace_period 10s\n\tllm_gateway {\n" + global +
		"\n\t}\n}\n{$GATEWAY_ADDR} {\n" + block + "\n}\n"
}

// start runs the binary on a Caddyfile and waits until it is ready. It is stopped with the test, and must then end well.
func start(t *testing.T, caddyfile string, env ...string) *process {
	t.Helper()
	// A short path: the name of a unix socket has little room.
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{t: t, Dir: dir}
	p.configure(caddyfile)
	port := freePort(t)
	p.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	p.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir,
		fmt.Sprintf("GATEWAY_ADDR=:%d", port), "GATEWAY_DATA=" + filepath.Join(dir, "data"),
	}, env...)
	p.run()
	t.Cleanup(p.stop)
	return p
}

func (p *process) configure(caddyfile string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.Dir, "Caddyfile"), []byte(caddyfile), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) run() {
	p.t.Helper()
	p.launch()
	p.awaitStart()
}

// launch starts the binary and waits for nothing.
func (p *process) launch() {
	p.t.Helper()
	p.out = new(output)
	p.exited = make(chan struct{})
	p.cmd = p.command(context.Background(), "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() //nolint:errcheck // stop looks at the state
		close(p.exited)
	}()
}

// awaitStart waits until the gateway is ready, and takes over the credentials that it shows.
func (p *process) awaitStart() {
	p.t.Helper()
	poll(p.t, 60*time.Second, "the gateway to be ready", func() bool {
		select {
		case <-p.exited:
			p.t.Fatalf("the gateway ended at its start:\n%s", p.out)
		default:
		}
		resp, err := http.Get(p.URL + "/v1/live")
		if err != nil {
			return false
		}
		resp.Body.Close()
		// A site without llm_health answers something else; that it answers is enough.
		return true
	})
	if p.Key == "" {
		for pattern, dst := range map[*regexp.Regexp]*string{
			regexp.MustCompile(`gateway key +(sp_[0-9a-f]{64})`): &p.Key, regexp.MustCompile(`admin credential +(sa_[0-9a-f]{64})`): &p.Admin,
		} {
			poll(p.t, 10*time.Second, "the first start's credentials", func() bool {
				m := pattern.FindStringSubmatch(p.out.String())
				if m != nil {
					*dst = m[1]
				}
				return m != nil || dst == &p.Admin && strings.Contains(strings.Join(p.env, "\n"), "GATEWAY_ADMIN_KEY=")
			})
		}
	}
}

// command is the binary with arguments, in the gateway's directory and environment.
func (p *process) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = p.Dir, p.env
	return cmd
}

// caddy runs the binary to its end and returns what it wrote.
func (p *process) caddy(args ...string) (stdout string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := p.command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("caddy %s: %w\n%s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), nil
}

// reload makes the gateway take its Caddyfile again.
func (p *process) reload() {
	p.t.Helper()
	if _, err := p.caddy("reload", "--config", "Caddyfile", "--adapter", "caddyfile", "--force"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) stop() {
	select {
	case <-p.exited:
		return
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended just now
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill() //nolint:errcheck
		<-p.exited
		p.t.Errorf("the gateway did not end within 30s of SIGTERM:\n%s", p.out)
		return
	}
	if state := p.cmd.ProcessState; !state.Success() {
		p.t.Errorf("the gateway ended with %s:\n%s", state, p.out)
	}
	if log := p.out.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
		p.t.Errorf("the gateway's log tells of a race or a panic:\n%s", log)
	}
}

// newKey makes a key over the HTTP API. limits may be nil for the default.
func (p *process) newKey(fields map[string]any) string {
	p.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		p.t.Fatal(err)
	}
	resp := p.do("POST", "/v1/api-keys/", p.Admin, string(body))
	if resp.Status != http.StatusCreated {
		p.t.Fatalf("creating a key: %d %s", resp.Status, resp.Body)
	}
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(resp.Body), &made); err != nil || made.Key == "" {
		p.t.Fatalf("creating a key: %v in %s", err, resp.Body)
	}
	return made.Key
}

// response is an answer, read to its end.
type response struct {
	Status int
	Header http.Header
	Body   string
}

// do sends a request with a body, of JSON where no header says otherwise, and a key, either of which may be "". Headers come in pairs of name and value.
func (p *process) do(method, path, key, body string, headers ...string) response {
	p.t.Helper()
	resp, err := p.send(context.Background(), method, path, key, body, headers...)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("reading the answer to %s %s: %v", method, path, err)
	}
	return response{resp.StatusCode, resp.Header, string(text)}
}

func (p *process) send(ctx context.Context, method, path, key, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	if body != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return client.Do(req)
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2048, DisableCompression: true}}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// poll waits for something that another process does. It fails the test where that does not come.
func poll(t *testing.T, timeout time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.After(timeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain for %s", timeout, what)
		}
	}
}
