package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"
)

// newLedgerFleet is a fleet whose gateways keep a request log.
func newLedgerFleet(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t, nil)
	f.store = "timeout 2s"
	f.global += "\n\t\tledger {\n\t\t\tusage_retention 2d\n\t\t\trequest_log 1d\n\t\t}"
	return f
}

// number is what a query for one number finds.
func (s *postgresServer) number(query string) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.sql(query))
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

const (
	summedCalls = "SELECT coalesce(sum(calls), 0) FROM usage"
	loggedCalls = "SELECT count(*) FROM calls"
)

// callMany makes so many calls that a ledger counts and no provider answers.
func (p *process) callMany(key string, n int) {
	p.t.Helper()
	const clients = 16
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for i := client; i < n; i += clients {
				if got := p.do("POST", chatPath, key, chatBody("no-such-model", "")); got.Status != 404 {
					p.t.Errorf("a call for an unknown model got %d", got.Status)
				}
			}
		})
	}
	group.Wait()
	client.CloseIdleConnections() // a server that ends waits for those on which nothing was sent yet
}

// busyKey is a key with which two calls were made that are in the ledger. It stays known without PostgreSQL: the gateway has heard by
// then that it was made, and forgotten it for that.
func (f *fleet) busyKey(p *process) string {
	f.t.Helper()
	key := p.manage("POST", "", `{"name":"busy","limits":[]}`).Key
	for calls := range 2 {
		p.callMany(key, 1)
		within(f.t, 5*time.Second, "a call to be in the ledger", func() bool {
			return f.postgres.number(summedCalls) == calls+1 && f.postgres.number(loggedCalls) == calls+1
		})
	}
	return key
}

// Each call is in the ledger once, whatever became of PostgreSQL meanwhile, and at the latest when the gateway has ended.
func TestFleetLedgerCountsEachCallOnceThroughOutages(t *testing.T) {
	f := newLedgerFleet(t)
	p := f.joinMany(1)[0]
	key := f.busyKey(p)
	calls := 2
	for range 2 {
		f.postgres.kill()
		poll(t, 5*time.Second, "the loss to be noticed", func() bool { return len(p.logged("the key store is out of reach")) > 0 })
		p.callMany(key, 50)
		f.postgres.start()
		p.callMany(key, 50)
		calls += 100
	}
	p.stop() // writes what is left
	if sums, logged := f.postgres.number(summedCalls), f.postgres.number(loggedCalls); sums != calls || logged != calls {
		t.Errorf("%d calls in sums and %d in the request log, want %d each", sums, logged, calls)
	}
	if lost := p.logged("is lost"); len(lost) > 0 {
		t.Errorf("the gateway says that it lost usage: %s", lost)
	}
}

// What finds no room in memory is counted, and all the rest is written once PostgreSQL is back.
func TestFleetLedgerCountsWhatItDropsWhilePostgresIsAway(t *testing.T) {
	f := newLedgerFleet(t)
	p := f.joinMany(1)[0]
	key := f.busyKey(p)
	f.postgres.kill()
	const room, more = 10_000, 300
	p.callMany(key, room+more)
	if dropped := p.metric(`gateway_ledger_dropped_total{what="calls"}`); dropped != fmt.Sprint(more) {
		t.Errorf("%s calls were dropped, want %d", dropped, more)
	}
	f.postgres.start()
	within(t, 20*time.Second, "what was kept to be in the ledger", func() bool {
		return f.postgres.number(summedCalls) == 2+room+more && f.postgres.number(loggedCalls) == 2+room
	})
}

// A gateway that ends without PostgreSQL says what is lost with it.
func TestFleetLedgerSaysWhatIsLostAsTheGatewayEnds(t *testing.T) {
	f := newLedgerFleet(t)
	p := f.joinMany(1)[0]
	key := f.busyKey(p)
	f.postgres.kill()
	p.callMany(key, 5)
	p.stop()
	if lost := p.logged("is lost as the gateway ends"); len(lost) != 1 {
		t.Errorf("the gateway says %q of the usage that is lost", lost)
	}
}

// What is older than it is to be kept is removed, in more than one batch, and nothing else.
func TestFleetLedgerForgetsWhatIsOld(t *testing.T) {
	f := newLedgerFleet(t)
	p := f.joinMany(1)[0] // makes the tables
	p.stop()
	for table, columns := range map[string]string{
		"usage": `(minute, key_id, team, surface, provider, model, calls, failures, cache_hits, input, cache_read, cache_write, output, reasoning, estimated)
			SELECT extract(epoch FROM now())::bigint / 60 * 60 - age * 86400, 'key ' || i, '', '', '', '', 1, 0, 0, 0, 0, 0, 0, 0, false`,
		"calls": `(id, at, key_id, team, surface, provider, model, upstream, status, error, cache, attempts, input, cache_read, cache_write, output, reasoning, estimated, took)
			SELECT age || '-' || i, (extract(epoch FROM now()) - age * 86400 + 60)::bigint * 1000, '', '', '', '', '', '', 200, '', '', 1, 0, 0, 0, 0, 0, false, 0`,
	} {
		f.postgres.sql(fmt.Sprintf("INSERT INTO %s %s FROM generate_series(0, 3) age, generate_series(1, 700) i", table, columns))
	}
	f.postgres.sql("INSERT INTO writers (id, last, at) VALUES ('gone', 1, 0)")
	p.run()
	within(t, 10*time.Second, "what is old to be gone", func() bool {
		return f.postgres.number(summedCalls) == 2*700 && f.postgres.number(loggedCalls) == 2*700 && f.postgres.number("SELECT count(*) FROM writers WHERE id = 'gone'") == 0
	})
	if oldest := f.postgres.number("SELECT (extract(epoch FROM now())::bigint - min(minute)) / 3600 FROM usage"); oldest < 24 || oldest >= 48 {
		t.Errorf("the oldest sum that is left is of %d hours ago", oldest)
	}
}
