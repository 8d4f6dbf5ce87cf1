package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cases 26, 27 and 29: a Redis that hangs costs a call no more than the timeout, loses none, and is joined again when it is back.
func TestFleetGoesOnWhileRedisHangs(t *testing.T) {
	const timeout = 300 * time.Millisecond // long enough that two waits in a row do not pass for one on a busy machine
	for _, c := range []struct {
		name    string
		clients int
		cached  bool
	}{{"many clients and limits", 24, false}, {"many clients, limits and cache", 24, true}, {"a client each, limits and cache", 3, true}} {
		t.Run(c.name, func(t *testing.T) {
			up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { answerWhole(w, answerText("x")) })
			f := newFleet(t, up)
			f.store = "timeout 300ms"
			members := f.joinMany(3)
			key := members[0].newKey(map[string]any{"name": "busy", "limits": []string{"1000000/1h", "100000000tokens/1h", "1000concurrent"}})
			traffic := startTraffic(members, c.clients, 20*time.Millisecond, key, numbered(c.cached))
			poll(t, 10*time.Second, "calls", func() bool { return traffic.count() > 50*c.clients })

			paused := time.Now()
			f.redis.Pause()
			t.Cleanup(f.redis.Resume) // else it could not be ended
			for _, p := range members {
				poll(t, 5*time.Second, "the gateway to decide by itself", func() bool { return p.decidedBy("local") })
			}
			aware := time.Now()
			length := long(5*time.Second, 2*time.Second)
			poll(t, length+time.Second, "the pause to be over", func() bool { return time.Since(paused) > length })
			for i, p := range members {
				if got := p.do("GET", "/v1/ready", "", ""); got.Status != 200 || !strings.Contains(got.Body, `"degraded"`) {
					t.Errorf("gateway %d says of itself: %d %s", i, got.Status, got.Body)
				}
			}
			f.redis.Resume()
			resumed := time.Now()
			for _, p := range members {
				poll(t, 2*time.Second+busy-time.Since(resumed), "Redis to decide again", func() bool { return p.decidedBy("redis") })
			}
			back := time.Since(resumed)
			before := traffic.count()
			poll(t, 10*time.Second, "calls afterwards", func() bool { return traffic.count() > before+10*c.clients })
			calls := traffic.stop()

			for _, a := range calls {
				if a.err != nil || a.status != 200 {
					t.Fatalf("a call to gateway %d got %d, %v", a.member, a.status, a.err)
				}
			}
			usual, during, later := slowest(calls, calls[0].sent, paused.Add(-busy)), slowest(calls, paused.Add(-busy), aware), slowest(calls, aware, resumed)
			most := 0
			for i, p := range members {
				lines := append(p.logged(`"logger":"llm_gateway`), p.logged(`"logger":"http.handlers.llm`)...)
				lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "following changes of keys") }) // of the start
				if most = max(most, len(lines)); len(lines) > 2 {
					t.Errorf("gateway %d wrote %d lines: %s", i, len(lines), strings.Join(lines[:min(len(lines), 6)], "\n"))
				}
			}
			t.Logf("%d calls, none lost; the slowest took %s before, %s as Redis began to hang (of a timeout of %s), %s while it hung; Redis decided again %s after it was back; %d lines in a log at most",
				len(calls), usual, during, timeout, later, back.Round(time.Millisecond), most)
			if during > timeout+busy {
				t.Errorf("a call took %s, and Redis may cost %s", during, timeout)
			}
		})
	}
}

// Case 32 and the faults: what is done without Redis is what the config says, and an empty Redis is taken as it is.
func TestFleetDoesWithoutRedisAsItIsTold(t *testing.T) {
	f := newFleet(t, nil)
	gateways := make(map[string]*process)
	keys := make(map[string]string)
	for _, policy := range []string{"local", "deny", "allow"} {
		f.store = "timeout 1s\non_error " + policy
		gateways[policy] = f.join()
		keys[policy] = gateways[policy].newKey(map[string]any{"name": policy, "limits": []string{"12/1h"}})
	}
	call := func(policy string) response { return gateways[policy].do("GET", "/v1/models", keys[policy], "") }
	admitted := func(policy string, calls int) (n int) {
		for range calls {
			if call(policy).Status == 200 {
				n++
			}
		}
		return n
	}
	for policy := range gateways {
		if n := admitted(policy, 2); n != 2 {
			t.Errorf("%s: %d of 2 calls were admitted by Redis", policy, n)
		}
	}

	gateways["local"].awaitFleetOf(3)
	f.redis.Kill()
	if n := admitted("local", 20); n != 2 {
		t.Errorf("local: %d more calls were admitted after 2 by one of three gateways with a limit of 12, want 2", n)
	}
	if n := admitted("allow", 20); n != 20 {
		t.Errorf("allow: %d of 20 calls were admitted", n)
	}
	for range 20 {
		if got := call("deny"); got.Status != 503 || got.Header.Get("Retry-After") == "" {
			t.Fatalf("deny: %d with Retry-After %q", got.Status, got.Header.Get("Retry-After"))
		}
	}
	for policy, p := range gateways {
		if !p.decidedBy(policy) {
			t.Errorf("%s: the metric does not say so", policy)
		}
	}

	f.redis.Restart()
	started := time.Now()
	for policy, p := range gateways {
		poll(t, 2*time.Second+busy, "Redis to decide again", func() bool {
			call(policy)
			return p.decidedBy("redis")
		})
	}
	t.Logf("after an empty restart, all gateways were back within %s", time.Since(started).Round(time.Millisecond))
	for policy, p := range gateways {
		f.redis.sh(`redis-cli -p $PORT FLUSHALL`)
		poll(t, 2*time.Second, "a call that Redis admits", func() bool { return call(policy).Status == 200 })
		if n := admitted(policy, 20); n != 11 {
			t.Errorf("%s: %d more calls of a limit of 12 were admitted by the new Redis after 1", policy, n)
		}
		if lines := p.logged(`"logger":"llm_gateway.stores.redis"`); len(lines) > 2 {
			t.Errorf("%s: %d lines about it: %v", policy, len(lines), lines)
		}
		if lines := p.logged("call failed"); len(lines) > 0 {
			t.Errorf("%s: %d lines about calls that were refused: %s", policy, len(lines), lines[0])
		}
	}
}

// Without Redis, gateways that knew of each other admit together what one limit allows, and what they have admitted before counts.
func TestFleetDividesALimitWithoutRedis(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 1s"
	members := f.joinMany(3)
	key := members[0].newKey(map[string]any{"name": "divided", "limits": []string{"30/1h"}})
	admitted := func(p *process, calls int) (n int) {
		for range calls {
			if p.do("GET", "/v1/models", key, "").Status == 200 {
				n++
			}
		}
		return n
	}
	for i, before := range []int{4, 1, 1} {
		if n := admitted(members[i], before); n != before {
			t.Fatalf("gateway %d: %d of %d calls were admitted by Redis", i, n, before)
		}
	}
	for _, p := range members {
		p.awaitFleetOf(3)
	}
	f.redis.Kill()
	for i, want := range []int{6, 9, 9} {
		if n := admitted(members[i], 40); n != want {
			t.Errorf("gateway %d admitted %d more, want %d", i, n, want)
		}
	}
}

// awaitFleetOf waits until a gateway knows how many there are.
func (p *process) awaitFleetOf(size int) {
	p.t.Helper()
	poll(p.t, 20*time.Second, "the gateway to know how many there are", func() bool { return p.metric("gateway_fleet_size") == strconv.Itoa(size) })
}

// Case 31: a gateway starts without Redis and joins it when it comes.
func TestFleetStartsWithoutRedis(t *testing.T) {
	redis := newRedis(t)
	f := newFleetAt(t, nil, redis.URL())
	f.redis, f.store = redis, "timeout 1s"
	members := f.joinMany(2)
	key := members[0].newKey(map[string]any{"name": "few", "limits": []string{"3/1h"}})
	other := members[0].newKey(map[string]any{"name": "other", "limits": []string{"1000/1h"}})
	admitted := func(p *process) (n int) {
		for range 10 {
			if p.do("GET", "/v1/models", key, "").Status == 200 {
				n++
			}
		}
		return n
	}
	for i, p := range members {
		if n := admitted(p); n != 3 {
			t.Errorf("gateway %d admits %d by itself, want 3", i, n)
		}
		if got := p.do("GET", "/v1/ready", "", ""); got.Status != 200 || !strings.Contains(got.Body, `"degraded"`) {
			t.Errorf("gateway %d says of itself: %d %s", i, got.Status, got.Body)
		}
	}
	f.redis.Restart()
	for _, p := range members {
		took := within(t, 2*time.Second+busy, "the gateway to join", func() bool {
			p.do("GET", "/v1/models", other, "")
			return p.decidedBy("redis")
		})
		t.Logf("joined after %s", took)
	}
	f.redis.sh(`redis-cli -p $PORT FLUSHALL`)
	poll(t, 2*time.Second, "a call that Redis admits", func() bool { return members[0].do("GET", "/v1/models", key, "").Status == 200 })
	if n := admitted(members[0]) + admitted(members[1]); n != 2 {
		t.Errorf("together they admit %d after one, want 2", n)
	}
}
