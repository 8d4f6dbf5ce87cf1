package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// names lists what one master of a Cluster holds.
func names(t *testing.T, master *redistest.Server, pattern string) []string {
	t.Helper()
	names, err := master.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// teamOn is a team whose windows a master holds: its slots are a third of all.
func teamOn(t *testing.T, masters []*redistest.Server, i int) string {
	t.Helper()
	for n := 0; ; n++ {
		team := fmt.Sprintf("team%d", n)
		slot, err := masters[i].ClusterKeySlot(t.Context(), "{team:"+team+"}").Result()
		if err != nil {
			t.Fatal(err)
		}
		if slot*3/16384 == int64(i) {
			return team
		}
	}
}

// Three gateways before three masters hold each tenant's limits exactly and share answers, whichever master has them.
func TestFleetOnAClusterSharesLimitsAndAnswers(t *testing.T) {
	const limit, clients, apart = 40, 12, 1_000_000
	// The time ends in the middle of a window: at its beginning, a call that comes a moment later would make a difference of all that it admits.
	window, length := long(10*time.Second, 2*time.Second), long(65*time.Second, 5*time.Second)
	masters, url := redistest.StartCluster(t)
	var arrived arrivals
	f := newFleetAt(t, arrived.upstream(t), url)
	f.store = "timeout 5s\non_error deny"
	members := f.joinMany(3)

	began := time.Now()
	var all []*traffic
	for i := range masters {
		key := members[0].newKey(map[string]any{"name": fmt.Sprint(i), "team": teamOn(t, masters, i), "limits": []string{fmt.Sprintf("%d/%s", limit, window)}})
		all = append(all, startTraffic(members, clients, 40*time.Millisecond, key, func(n int) string { return numbered(false)(i*apart + n) }))
	}
	poll(t, length+10*time.Second, "the time to be over", func() bool { return time.Since(began) > length })
	for i, traffic := range all {
		arrived.hold(t, traffic.stop(), i*apart, limit, window)
		if len(names(t, masters[i], "rate_limit:*")) == 0 {
			t.Errorf("master %d holds no window", i)
		}
	}

	const answers = 40 // so that none of three masters is left out by chance
	free := members[0].newKey(map[string]any{"name": "free", "limits": []string{}})
	ask := func(p *process, n int, headers ...string) response {
		return p.do("POST", chatPath, free, numbered(true)(9*apart+n), headers...)
	}
	for n := range answers {
		for i, p := range members {
			want := "HIT"
			if i == 0 {
				want = "MISS"
			}
			if got := ask(p, n); got.Status != 200 || got.Header.Get("X-Cache") != want {
				t.Errorf("gateway %d, answer %d: %d %s, want %s", i, n, got.Status, got.Header.Get("X-Cache"), want)
			}
		}
	}
	for i, master := range masters {
		held := names(t, master, "cache:1:*")
		if len(held) == 0 {
			t.Errorf("master %d holds no answer", i)
		}
		for _, name := range held {
			if err := master.Del(t.Context(), name).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	took := within(t, time.Second+busy, "all answers to be forgotten", func() bool {
		return !slices.ContainsFunc(members, func(p *process) bool {
			for n := range answers {
				if ask(p, n, "Cache-Control", "only-if-cached").Status == 200 {
					return true
				}
			}
			return false
		})
	})
	t.Logf("%d answers on three masters were forgotten by three gateways after %s", answers, took)
}

// A master that hangs or dies takes nobody's call: each gateway decides by itself until all masters are back.
func TestFleetOnAClusterGoesOnWithoutAMaster(t *testing.T) {
	const timeout = 300 * time.Millisecond
	masters, url := redistest.StartCluster(t)
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { answerWhole(w, answerText("x")) })
	f := newFleetAt(t, up, url)
	f.store = "timeout 300ms\non_error local"
	members := f.joinMany(3)
	key := members[0].newKey(map[string]any{"name": "busy", "team": teamOn(t, masters, 1), "limits": []string{"1000000/1h", "100000000tokens/1h"}})
	traffic := startTraffic(members, 6, 20*time.Millisecond, key, numbered(false))
	poll(t, 20*time.Second, "calls", func() bool { return traffic.count() > 300 })
	without := func(what string) {
		t.Helper()
		for _, p := range members {
			poll(t, 20*time.Second, "the gateway to decide by itself without "+what, func() bool { return p.decidedBy("local") })
		}
		before := traffic.count()
		poll(t, 20*time.Second, "calls without "+what, func() bool { return traffic.count() > before+100 })
	}
	back := func(what string) {
		t.Helper()
		redistest.AwaitCluster(t, masters)
		whole := time.Now()
		for _, p := range members {
			poll(t, 5*time.Second, "Redis to decide again with "+what, func() bool { return p.decidedBy("redis") })
		}
		t.Logf("with %s, Redis decided again %s after the cluster was whole", what, time.Since(whole).Round(time.Millisecond))
		before := traffic.count()
		poll(t, 20*time.Second, "calls with "+what, func() bool { return traffic.count() > before+100 })
	}

	paused := time.Now()
	masters[1].Pause() // the one that has the windows
	without("a master that hangs")
	masters[1].Resume()
	resumed := time.Now()
	back("a master that hung")
	masters[2].Kill() // one of the others, whose loss the Cluster takes for its own
	without("a master that died")
	masters[2].Restart()
	back("a master that died")

	calls := traffic.stop()
	for _, c := range calls {
		if c.err != nil || c.status != 200 {
			t.Fatalf("a call to gateway %d got %d, %v", c.member, c.status, c.err)
		}
	}
	most := slowest(calls, paused.Add(-busy), resumed)
	t.Logf("%d calls, none lost; the slowest took %s while a master hung, of a timeout of %s", len(calls), most, timeout)
	if most > timeout+busy {
		t.Errorf("a call took %s, and Redis may cost %s", most, timeout)
	}
}
