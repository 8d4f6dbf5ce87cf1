// Package redistest starts real Redis servers for tests: one, a Cluster, or one that Sentinels watch. Nothing of them outlives the test.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Program is what is started: redis-server, or what REDIS_SERVER names, such as Valkey's.
func Program(t testing.TB) string {
	t.Helper()
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	for _, program := range []string{name, "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing; install it, on Debian with `apt-get install redis-server`, elsewhere from https://redis.io/downloads", program)
		}
	}
	return name
}

// Server is a server of a test's own, on a port of 127.0.0.1. Its methods are the operator's.
type Server struct {
	*goredis.Client
	Address string
	Dir     string // where it writes its files

	t       testing.TB
	args    []string
	process *exec.Cmd
}

// Start runs an empty server and waits until it answers.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t, goredis.Options{}, args...)
	s.Restart()
	return s
}

// New is a server that does not run yet, with the operator's way to it.
func New(t testing.TB, operator goredis.Options, args ...string) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{t: t, Address: fmt.Sprintf("127.0.0.1:%d", port), Dir: t.TempDir()}
	s.args = append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.Dir}, args...)
	operator.Addr = s.Address
	s.Client = goredis.NewClient(&operator)
	t.Cleanup(func() {
		s.Kill()
		s.Client.Close() //nolint:errcheck // nothing hangs on it
	})
	return s
}

// Restart runs a server that was killed, or does not run yet, empty, at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.process = exec.Command(Program(s.t), s.args...)
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	await(s.t, "redis-server to answer", func() bool { return s.Ping(context.Background()).Err() == nil })
}

// Kill is kill -9.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill() //nolint:errcheck // it may have ended
	s.process.Wait()         //nolint:errcheck // it was killed
	s.process = nil
}

// Pause stops the server's clock: connections stay, and nobody answers on them.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatalf("sending %v: %v", signal, err)
	}
}

// URL is where a client finds it.
func (s *Server) URL() string { return "redis://" + s.Address }

// Calls counts a command's calls so far.
func (s *Server) Calls(command string) int {
	s.t.Helper()
	text, err := s.Info(context.Background(), "commandstats").Result()
	if err != nil {
		s.t.Fatalf("asking for the commands' counts: %v", err)
	}
	_, text, found := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	text, _, _ = strings.Cut(text, ",")
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("reading the commands' counts: %v", err)
	}
	return n
}

// FreePort finds a port whose Cluster port, 10000 above, exists too.
func FreePort(t testing.TB) int {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("finding a port: %v", err)
		}
		listener.Close() //nolint:errcheck // nobody connects
		if port := listener.Addr().(*net.TCPAddr).Port; port < 55_000 {
			return port
		}
	}
}

// await asks over and over whether something has come true.
func await(t testing.TB, what string, true func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); !true(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
