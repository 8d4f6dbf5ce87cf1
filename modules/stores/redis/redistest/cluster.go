package redistest

import (
	"context"
	"os/exec"
	"strings"
	"testing"
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
	create := append(append([]string{"--cluster", "create"}, addresses...), "--cluster-yes")
	if out, err := exec.Command("redis-cli", create...).CombinedOutput(); err != nil {
		t.Fatalf("creating the cluster: %v\n%s", err, out)
	}
	AwaitCluster(t, masters)
	return masters, "redis+cluster://" + strings.Join(addresses, ",")
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
