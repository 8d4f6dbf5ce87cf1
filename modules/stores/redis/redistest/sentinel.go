package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// MasterName is what Sentinels call the master.
const MasterName = "gateways"

// Sentinels are three of them, a master and a replica. A master that is silent for half a second is replaced by its replica.
type Sentinels struct {
	Master, Replica *Server
	URL             string

	first *goredis.SentinelClient
}

// StartSentinels runs them and waits until a failover can be.
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	s := &Sentinels{Master: Start(t, "--repl-diskless-sync-delay", "0")}
	host, port, _ := net.SplitHostPort(s.Master.Address)
	s.Replica = Start(t, "--replicaof", host, port)
	await(t, "the replica to follow", func() bool {
		role, err := s.Replica.Do(context.Background(), "ROLE").Slice()
		return err == nil && len(role) > 3 && role[3] == "connected"
	})
	var all []*goredis.SentinelClient
	for range 3 {
		address := startSentinel(t, host, port)
		all = append(all, goredis.NewSentinelClient(&goredis.Options{Addr: address}))
		s.URL += "," + address
	}
	s.URL = "redis+sentinel://" + s.URL[1:] + "/" + MasterName
	s.first = all[0]
	for _, sentinel := range all {
		t.Cleanup(func() { sentinel.Close() }) //nolint:errcheck // nothing hangs on it
		await(t, "the sentinels to agree", func() bool {
			others, err := sentinel.Sentinels(context.Background(), MasterName).Result()
			replicas, err2 := sentinel.Replicas(context.Background(), MasterName).Result()
			return err == nil && err2 == nil && len(others) == 2 && len(replicas) == 1 && replicas[0]["flags"] == "slave"
		})
	}
	return s
}

// Failover has the replica made the master, as an operator does for maintenance.
func (s *Sentinels) Failover(t testing.TB) {
	t.Helper()
	await(t, "a failover to begin", func() bool { return s.first.Failover(context.Background(), MasterName).Err() == nil })
}

func startSentinel(t testing.TB, host, port string) (address string) {
	t.Helper()
	own := FreePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "sentinel.conf") // which a Sentinel writes to
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n",
		own, dir, MasterName, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(Program(t), config, "--sentinel")
	if err := process.Start(); err != nil {
		t.Fatalf("starting a sentinel: %v", err)
	}
	t.Cleanup(func() {
		process.Process.Kill() //nolint:errcheck // it may have ended
		process.Wait()         //nolint:errcheck // it was killed
	})
	return fmt.Sprintf("127.0.0.1:%d", own)
}
