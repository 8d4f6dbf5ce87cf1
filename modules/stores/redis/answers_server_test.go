package redis

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
	"github.com/caddy-llm/caddy-llm/modules/stores/memory"
)

// cacheServer is a redis-server that a test has started.
type cacheServer struct {
	*goredis.Client // the operator's
	address         string
	process         *exec.Cmd
}

func startCacheServer(t testing.TB, args ...string) *cacheServer {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests need redis-server; Debian has it in the package redis-server")
	}
	port := freePort(t)
	process := exec.Command(program, append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(),
	}, args...)...)
	if err := process.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	s := &cacheServer{address: fmt.Sprintf("127.0.0.1:%d", port), process: process}
	s.Client = goredis.NewClient(&goredis.Options{Addr: s.address})
	t.Cleanup(func() {
		s.Client.Close()       //nolint:errcheck
		process.Process.Kill() //nolint:errcheck
		process.Wait()         //nolint:errcheck
	})
	within(t, 10*time.Second, "redis-server to answer", func() bool { return s.Ping(context.Background()).Err() == nil })
	return s
}

// freePort finds a port whose Cluster port, 10000 above, exists too.
func freePort(t testing.TB) int {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("finding a port: %v", err)
		}
		listener.Close() //nolint:errcheck
		if port := listener.Addr().(*net.TCPAddr).Port; port < 55_000 {
			return port
		}
	}
}

func (s *cacheServer) pause(t testing.TB)  { s.signal(t, syscall.SIGSTOP) }
func (s *cacheServer) resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *cacheServer) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatalf("sending %v: %v", signal, err)
	}
}

// calls counts a command's calls so far.
func (s *cacheServer) calls(t testing.TB, command string) int {
	t.Helper()
	text, err := s.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatalf("asking for the commands' counts: %v", err)
	}
	_, text, found := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	text, _, _ = strings.Cut(text, ",")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("reading the commands' counts: %v", err)
	}
	return n
}

// startCacheCluster starts three masters and gives a URL of them.
func startCacheCluster(t testing.TB) (masters []*cacheServer, url string) {
	t.Helper()
	args := []string{"--cluster", "create"}
	var addresses []string
	for range 3 {
		s := startCacheServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		masters, addresses = append(masters, s), append(addresses, s.address)
	}
	if out, err := exec.Command("redis-cli", append(append(args, addresses...), "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("creating the cluster: %v\n%s", err, out)
	}
	for _, s := range masters {
		within(t, 20*time.Second, "the cluster to be whole", func() bool {
			info, err := s.ClusterInfo(context.Background()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return masters, "redis+cluster://" + strings.Join(addresses, ",")
}

func (s *cacheServer) url() string { return "redis://" + s.address }

// openCache opens a gateway's store.
func openCache(t testing.TB, url string, adapt ...func(*Answers)) *Answers {
	t.Helper()
	// The machine may be slow with all that tests do at once: bounds are tested where they matter.
	return openCacheWithin(t, url, 2*time.Second, adapt...)
}

func openCacheWithin(t testing.TB, url string, timeout time.Duration, adapt ...func(*Answers)) *Answers {
	t.Helper()
	log := zaptest.NewLogger(t)
	client, err := NewClient(url, timeout, 0, log)
	if err != nil {
		t.Fatalf("making client: %v", err)
	}
	store := newAnswers(client, func() gateway.AnswerStore { return memory.NewAnswers(16 << 20) }, 1<<20, log)
	for _, change := range adapt {
		change(store)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing store: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("closing client: %v", err)
		}
	})
	return store
}

// withFirstLevel waits until a store is told of changes.
func withFirstLevel(t testing.TB, stores ...*Answers) {
	t.Helper()
	for _, s := range stores {
		s.watch()
		within(t, 10*time.Second, "the first level", func() bool { return s.level.Load() != nil })
	}
}

// within waits for a condition, which it asks for every other millisecond.
func within(t testing.TB, bound time.Duration, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(bound); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", bound, what)
		}
	}
}

func anAnswer(body string) *gateway.Answer {
	now := time.Now()
	return &gateway.Answer{Provider: "openai", Model: "gpt-5", Body: []byte(body), Created: now, Expires: now.Add(time.Hour)}
}

func putAnswer(t testing.TB, s *Answers, key gateway.AnswerKey, answer *gateway.Answer) {
	t.Helper()
	if err := s.PutAnswer(t.Context(), key, answer); err != nil {
		t.Fatalf("putting: %v", err)
	}
}

// bodyOf is what a store finds; nothing is "".
func bodyOf(t testing.TB, s *Answers, key gateway.AnswerKey) string {
	t.Helper()
	answer, err := s.Answer(t.Context(), key)
	if err != nil {
		t.Fatalf("getting: %v", err)
	}
	if answer == nil {
		return ""
	}
	return string(answer.Body)
}

// bringNear reads an answer until the first level holds it: the news that somebody has put it may come after the first look.
func bringNear(t testing.TB, s *Answers, key gateway.AnswerKey, body string) {
	t.Helper()
	within(t, 5*time.Second, "the answer to be near", func() bool { return bodyOf(t, s, key) == body && near(s, key) })
}

// near tells whether the first level holds an answer.
func near(s *Answers, key gateway.AnswerKey) bool {
	return s.level.Load().answer(context.Background(), key) != nil
}
