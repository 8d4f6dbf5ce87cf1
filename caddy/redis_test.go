package main

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// redisPassword is looked for wherever no secret may be.
const redisPassword = "c4nary/redis@0123456789"

// redisServer is a server of a test's own that has a password.
type redisServer struct {
	*redistest.Server
	t *testing.T
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	s := newRedis(t)
	s.Restart()
	return s
}

// newRedis is a server that does not run yet. Its operator waits for as long as it takes.
func newRedis(t *testing.T) *redisServer {
	t.Helper()
	return &redisServer{t: t, Server: redistest.New(t, goredis.Options{Password: redisPassword, ReadTimeout: time.Minute},
		"--requirepass", redisPassword, "--rdbcompression", "no", "--repl-diskless-sync-delay", "0")}
}

// URL is what REDIS_URL holds.
func (s *redisServer) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", redisPassword), Host: s.Address}
	return u.String()
}

// sh runs a line as an operator types it, where $PORT is the server's.
func (s *redisServer) sh(line string) string {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Address)
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+redisPassword, "PORT="+port)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

// keys lists the names that match.
func (s *redisServer) keys(pattern string) []string {
	s.t.Helper()
	names, err := s.Keys(context.Background(), pattern).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// left is how long a key is kept; negative for one that is there for ever.
func (s *redisServer) left(key string) time.Duration {
	s.t.Helper()
	left, err := s.PTTL(context.Background(), key).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return left
}
