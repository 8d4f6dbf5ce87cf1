package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fullLength has the fault tests run for as long as the guarantees that they show are meant for. `make faults` does.
var fullLength = flag.Bool("fleet.full", false, "run the tests of several gateways at full length")

// busy is what the machine that runs the tests may take on top of what is promised.
const busy = 250 * time.Millisecond

// long is a length of time in `make faults`, and short is the same thing in little, for everybody's tests.
func long(full, short time.Duration) time.Duration {
	if *fullLength {
		return full
	}
	return short
}

// fleetAdmin is the admin credential of all gateways of a fleet.
const fleetAdmin = "sa_c4nary0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

// fleet is several gateways with one Redis and one PostgreSQL.
type fleet struct {
	t        *testing.T
	redis    *redisServer
	redisURL string
	postgres *postgresServer
	global   string // more for the llm_gateway block, such as a provider
	store    string // options of the Redis store
	chain    string // the site
}

// newFleet is a fleet without gateways, over servers that run. Its provider is up, or demo where that is nil.
func newFleet(t *testing.T, up *upstream) *fleet {
	t.Helper()
	redis := startRedis(t)
	f := newFleetAt(t, up, redis.URL())
	f.redis = redis
	return f
}

// newFleetAt is a fleet whose Redis is a test's own.
func newFleetAt(t *testing.T, up *upstream, redisURL string) *fleet {
	t.Helper()
	f := &fleet{t: t, redisURL: redisURL, postgres: startPostgres(t), global: "\t\tprovider demo", chain: "llm"}
	if up != nil {
		f.global = up.provider()
	}
	return f
}

// join starts another gateway.
func (f *fleet) join() *process { return f.joinAs("postgres") }

// joinAs starts another gateway with a database of its own choice.
func (f *fleet) joinAs(database string) *process {
	f.t.Helper()
	p := f.member(database)
	p.run()
	return p
}

// member is a gateway that does not run yet.
func (f *fleet) member(database string) *process {
	f.t.Helper()
	dir, err := os.MkdirTemp("", "gw") // short, as in start
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { os.RemoveAll(dir) })
	port := freePort(f.t)
	// Whether it is the first to start and so makes a key is left to chance: no test wants that one.
	p := &process{t: f.t, Dir: dir, URL: fmt.Sprintf("http://127.0.0.1:%d", port), Key: "none", Admin: fleetAdmin}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir,
		fmt.Sprintf("GATEWAY_ADDR=:%d", port), "GATEWAY_DATA=" + filepath.Join(dir, "data"), "GATEWAY_ADMIN_KEY=" + fleetAdmin,
		"REDIS_URL=" + f.redisURL, "DATABASE_URL=" + f.postgres.url(), upKey,
	}
	p.configure(site(f.global+"\n\t\tdatabase "+database+"\n\t\tstore redis {\n"+f.store+"\n\t\t}", f.chain))
	f.t.Cleanup(func() {
		client.CloseIdleConnections() // a server waits for those on which nothing was sent yet
		if p.cmd == nil {
			return
		}
		if log := p.out.String(); f.t.Failed() {
			f.t.Logf("the gateway at %s wrote at last:\n%s", p.URL, log[max(0, len(log)-4000):])
		}
		p.stop()
	})
	return p
}

// joinMany starts so many gateways.
func (f *fleet) joinMany(n int) []*process {
	f.t.Helper()
	members := make([]*process, n)
	for i := range members {
		members[i] = f.join()
	}
	for _, p := range members {
		p.awaitFeed()
	}
	return members
}

// awaitFeed waits until a gateway follows changes of keys, which begins with forgetting those that it has read.
func (p *process) awaitFeed() {
	p.t.Helper()
	poll(p.t, 20*time.Second, "the gateway to follow changes of keys", func() bool { return len(p.logged("following changes of keys")) > 0 })
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-p.exited
}

// madeKey is a key as the key API shows it to who made or rotated it.
type madeKey struct{ ID, Key string }

// manage makes a call to the key API that must succeed.
func (p *process) manage(method, path, body string) (made madeKey) {
	p.t.Helper()
	got := p.do(method, "/v1/api-keys/"+path, p.Admin, body)
	if got.Status >= 300 {
		p.t.Fatalf("%s of key %s: %d %s", method, path, got.Status, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), &made); err != nil {
		p.t.Fatal(err)
	}
	return made
}

// within waits until something is true and returns how long that took. It fails the test where it takes longer than it may.
func within(t *testing.T, most time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	poll(t, most, what, done)
	return time.Since(start).Round(time.Millisecond)
}

// metric is the value of a series, as it is written.
func (p *process) metric(series string) string {
	p.t.Helper()
	for line := range strings.Lines(p.do("GET", "/v1/metrics", "", "").Body) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// decidedBy reports whether the limits are decided by redis, or by what on_error says.
func (p *process) decidedBy(mode string) bool {
	return p.metric(`gateway_limiter_mode{mode="`+mode+`"}`) == "1"
}

// logged are the lines that the gateway has written and that hold a text.
func (p *process) logged(text string) (lines []string) {
	for line := range strings.Lines(p.out.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// attempt is one call of the traffic.
type attempt struct {
	number int
	member int
	sent   time.Time
	took   time.Duration
	status int
	err    error
}

// traffic is clients that call gateways over and over.
type traffic struct {
	clients sync.WaitGroup
	done    chan struct{}
	mu      sync.Mutex
	made    []attempt
	next    int
}

// startTraffic has clients, spread over the members, make a call each so often. A call's body is made from its number.
func startTraffic(members []*process, clients int, every time.Duration, key string, body func(number int) string) *traffic {
	l := &traffic{done: make(chan struct{})}
	for client := range clients {
		l.clients.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				l.call(members, client%len(members), key, body)
				select {
				case <-l.done:
					return
				case <-tick.C:
				}
			}
		})
	}
	return l
}

func (l *traffic) call(members []*process, member int, key string, body func(number int) string) {
	l.mu.Lock()
	a := attempt{number: l.next, member: member}
	l.next++
	l.mu.Unlock()
	text := body(a.number)
	a.sent = time.Now()
	resp, err := members[member].send(context.Background(), "POST", chatPath, key, text)
	if err == nil {
		a.status = resp.StatusCode
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	a.took, a.err = time.Since(a.sent), err
	l.mu.Lock()
	l.made = append(l.made, a)
	l.mu.Unlock()
}

// count is how many calls have ended.
func (l *traffic) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made)
}

// stop ends it and returns all its calls in the order in which they were sent.
func (l *traffic) stop() []attempt {
	close(l.done)
	l.clients.Wait()
	slices.SortFunc(l.made, func(a, b attempt) int { return a.sent.Compare(b.sent) })
	return l.made
}

// slowest is the longest time that a call sent in a span of time took.
func slowest(calls []attempt, from, to time.Time) (most time.Duration) {
	for _, a := range calls {
		if !a.sent.Before(from) && a.sent.Before(to) {
			most = max(most, a.took)
		}
	}
	return most
}

// numbered is a chat call that no cache keeps, or that every cache does.
func numbered(cached bool) func(int) string {
	return func(number int) string {
		extra := ""
		if cached {
			extra = `,"temperature":0`
		}
		return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"call %d."}]%s}`, number, extra)
	}
}
