package main

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redisPassword is looked for wherever no secret may be.
const redisPassword = "c4nary/redis@0123456789"

// redisServer is a real redis-server of a test's own, on a port of 127.0.0.1. Nothing of it outlives it.
type redisServer struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd
	// admin is a connection that waits for as long as it takes.
	admin *goredis.Client
}

func startRedis(t *testing.T) *redisServer {
	s := newRedis(t)
	s.start()
	return s
}

// newRedis is a server that does not run yet.
func newRedis(t *testing.T) *redisServer {
	t.Helper()
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing; install it, on Debian with `apt-get install redis-server`, elsewhere from https://redis.io/downloads", program)
		}
	}
	s := &redisServer{t: t, dir: t.TempDir(), port: strconv.Itoa(freePort(t))}
	s.admin = goredis.NewClient(&goredis.Options{Addr: net.JoinHostPort("127.0.0.1", s.port), Password: redisPassword, ReadTimeout: time.Minute})
	t.Cleanup(func() {
		s.admin.Close()
		s.kill()
	})
	return s
}

// start runs the server, empty, and waits until it answers.
func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", s.port, "--dir", s.dir, "--requirepass", redisPassword,
		"--save", "", "--appendonly", "no", "--rdbcompression", "no", "--repl-diskless-sync-delay", "0")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	poll(s.t, 20*time.Second, "redis-server to answer", func() bool { return s.admin.Ping(context.Background()).Err() == nil })
}

// kill is kill -9.
func (s *redisServer) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	s.cmd.Wait()         //nolint:errcheck // it was killed
	s.cmd = nil
}

// pause stops the server's clock: connections stay, and nobody answers on them.
func (s *redisServer) pause() { s.signal(syscall.SIGSTOP) }

func (s *redisServer) resume() { s.signal(syscall.SIGCONT) }

func (s *redisServer) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// url is what REDIS_URL holds.
func (s *redisServer) url() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", redisPassword), Host: net.JoinHostPort("127.0.0.1", s.port)}
	return u.String()
}

// sh runs a line as an operator types it, where $PORT is the server's.
func (s *redisServer) sh(line string) string {
	s.t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+redisPassword, "PORT="+s.port)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

// keys lists the names that match.
func (s *redisServer) keys(pattern string) []string {
	s.t.Helper()
	names, err := s.admin.Keys(context.Background(), pattern).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// left is how long a key is kept; negative for one that is there for ever.
func (s *redisServer) left(key string) time.Duration {
	s.t.Helper()
	left, err := s.admin.PTTL(context.Background(), key).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return left
}
