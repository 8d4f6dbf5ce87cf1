package redis

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// server is a real redis-server of a test's own, on a socket.
type server struct {
	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
	// admin is a connection that waits for as long as it takes.
	admin *goredis.Client
}

func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	// A socket's path may have a hundred bytes only, which t.TempDir exceeds.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir}
	s.args = append([]string{"--port", "0", "--unixsocket", s.socket(), "--dir", dir}, args...)
	t.Cleanup(func() {
		s.kill()
		os.RemoveAll(dir)
	})
	s.start()
	return s
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }

func (s *server) url() string { return "unix://" + s.socket() }

// start runs the server, empty.
func (s *server) start() {
	s.t.Helper()
	s.cmd = serve(s.t, s.args)
	s.admin = goredis.NewClient(&goredis.Options{Addr: s.socket(), ReadTimeout: time.Minute})
	await(s.t, "redis-server to answer", func() bool { return s.admin.Ping(s.t.Context()).Err() == nil })
}

// serve starts redis-server. Where there is none, tests fail rather than pass without having tested anything.
func serve(t testing.TB, args []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(redistest.Program(t), append([]string{"--save", "", "--appendonly", "no", "--enable-debug-command", "yes"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	return cmd
}

// kill is kill -9.
func (s *server) kill() {
	s.admin.Close()
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.Remove(s.socket())
}

// client is a client like a gateway's.
func (s *server) client() *Client { return newClient(s.t, s.url(), DefaultTimeout, zap.NewNop()) }

// patient is a client for tests that are not about time, on machines that have little of it.
func (s *server) patient() *Client { return newClient(s.t, s.url(), 10*time.Second, zap.NewNop()) }

func newClient(t testing.TB, url string, timeout time.Duration, log *zap.Logger) *Client {
	t.Helper()
	client, err := NewClient(url, timeout, 0, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
			t.Errorf("closing: %v", err)
		}
	})
	return client
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	return zap.New(core), logs
}

// await asks over and over whether something has come true.
func await(t testing.TB, what string, true func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !true() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// do runs a command and fails the test where it does not work.
func (s *server) do(args ...any) *goredis.Cmd {
	s.t.Helper()
	cmd := s.admin.Do(context.Background(), args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, goredis.Nil) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return cmd
}

// keys lists the names that match.
func (s *server) keys(pattern string) []string {
	s.t.Helper()
	names, err := s.admin.Keys(context.Background(), pattern).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}
