package redistest

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// StartCluster runs a Cluster of three masters without replicas, and gives the URL of all. A master that is silent for two seconds is
// taken for dead by the others, who then refuse calls until it is back.
func StartCluster(t testing.TB, args ...string) (masters []*Server, url string) {
	t.Helper()
	var addresses []string
	for range 3 {
		s := Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000"}, args...)...)
		masters, addresses = append(masters, s), append(addresses, s.Address)
	}
	Join(t, masters, addresses)
	return masters, "redis+cluster://" + strings.Join(addresses, ",")
}

// Join makes servers the masters of a Cluster. Each is reached at its address with redis-cli and these options.
func Join(t testing.TB, masters []*Server, addresses []string, options ...string) {
	t.Helper()
	create := append(append(append(options, "--cluster", "create"), addresses...), "--cluster-yes")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // redis-cli would wait for ever
	defer cancel()
	if out, err := exec.CommandContext(ctx, "redis-cli", create...).CombinedOutput(); err != nil {
		t.Fatalf("creating the cluster: %v\n%s", err, out)
	}
	AwaitCluster(t, masters)
}

// AwaitCluster waits until all masters know each other and serve calls.
func AwaitCluster(t testing.TB, masters []*Server) {
	t.Helper()
	for _, s := range masters {
		await(t, "the cluster to be whole", func() bool {
			info, err := s.ClusterInfo(context.Background()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
}
