package fleet

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/bench/machine"
)

func TestCoresAreListed(t *testing.T) {
	for list, want := range map[string][]string{"0": {"0"}, "0-3": {"0", "1", "2", "3"}, "1,4-5,9": {"1", "4", "5", "9"}} {
		if got, err := parseCores(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", list, got, err)
		}
	}
	if _, err := parseCores("0-x"); err == nil {
		t.Error("0-x is a list of cores")
	}
}

// fleet is one that runs where this test does.
func fleet(t *testing.T) *Fleet {
	t.Helper()
	allowed, err := allowedCores()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(allowed, ",")
	f, err := New(Cores{Server: allowed[0], Load: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f
}

func TestProcessIsUpWhenItIsStartedAndGoneWhenItIsStopped(t *testing.T) {
	f := fleet(t)
	redis, err := f.Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := RedisReads(t.Context(), redis)
	if err != nil {
		t.Fatal(err)
	}
	after, err := RedisReads(t.Context(), redis)
	if err != nil || after <= before { // the first question was one
		t.Errorf("%d reads, then %d: %v", before, after, err)
	}
	if version, err := RedisVersion(t.Context(), redis); err != nil || !strings.Contains(version, ".") {
		t.Errorf("%q, %v", version, err)
	}
	f.Stop()
	if Reachable(t.Context(), redis.Port) {
		t.Error("Redis still listens")
	}
	if _, err := machine.System.Resident(redis.ID); err == nil {
		t.Error("Redis still runs")
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Error("its files are still there")
	}
}

func TestProcessThatEndsAtItsStartIsQuoted(t *testing.T) {
	_, err := fleet(t).Start(t.Context(), Command{Name: "the server", Cores: "0", Port: 1, Args: []string{"redis-server", "--nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "the server ended at its start") || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}

func TestPortThatSomebodyElseHoldsIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	ours := &Process{Command: Command{Name: "the server", Port: port}, ID: os.Getpid()}
	if err := ours.holdsAlone(port); err != nil {
		t.Error(err)
	}
	theirs := &Process{Command: Command{Name: "the server", Port: port}, ID: 1 << 30}
	if err, want := theirs.holdsAlone(port), fmt.Sprintf("is held by process %d as well", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	l.Close()
	if err := ours.holdsAlone(port); err == nil || !strings.Contains(err.Error(), "nobody holds port") {
		t.Error(err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := fleet(t)
	port, err := FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Start(ctx, Command{Name: "the sleeper", Cores: f.Cores.Load, Port: port, Args: []string{"sleep", "1000"}})
	if err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
	sleeper := f.all[0]
	f.Stop()
	if _, err := machine.System.Resident(sleeper.ID); err == nil {
		t.Error("the sleeper still runs")
	}
}
