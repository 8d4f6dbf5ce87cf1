package postgres

import (
	"net"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Who sent a batch and lost the connection cannot know whether it was added, sends it again, and must not add it twice.
func TestABatchThatWasCutOffIsAddedOnce(t *testing.T) {
	t.Parallel()
	srv := ownServer(t)
	wire := newProxy(t, net.JoinHostPort("127.0.0.1", srv.port))
	direct := openStore(t, srv.newDatabase(t))
	if err := direct.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, srv.urlAt(wire.address(), direct.config.ConnConfig.Database))
	minute := time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)
	usage := []gateway.UsageRow{{Minute: minute, KeyID: "key_1", Model: "smart", Calls: 1, Usage: dialect.Usage{Input: 10}}}
	batch := gateway.Batch{Writer: "test"}
	calls := int64(0)
	for name, test := range map[string]struct {
		where  int32
		killed bool
		added  int64
	}{
		"before its commit":                           {beforeCommit, false, 0},
		"after its commit":                            {afterCommit, false, 1},
		"before its commit, and the server is killed": {beforeCommit, true, 0},
		"after its commit, and the server is killed":  {afterCommit, true, 1},
	} {
		sum := func() int64 {
			rows, err := direct.Usage(t.Context(), minute, minute.Add(time.Minute), 10)
			if err != nil || len(rows) > 1 {
				t.Fatalf("%s: got usage %+v and error %v", name, rows, err)
			}
			if len(rows) == 0 {
				return 0
			}
			return rows[0].Calls
		}
		batch.Number++
		before := sum()
		wire.cut.Store(test.where)
		if err := store.AddUsage(t.Context(), batch, usage); err == nil {
			t.Errorf("%s: the writer hears nothing of it", name)
		}
		if test.killed {
			srv.kill()
			if err := srv.start(); err != nil {
				t.Fatal(err)
			}
			direct.renew()
		}
		if added := sum() - before; added != test.added {
			t.Errorf("%s: %d calls were added, want %d", name, added, test.added)
		}
		calls++
		for range 2 {
			if err := retry(t, func() error { return store.AddUsage(t.Context(), batch, usage) }); err != nil {
				t.Fatal(err)
			}
			if got := sum(); got != calls {
				t.Errorf("%s: the sum is of %d calls, want %d", name, got, calls)
			}
		}

		row := []gateway.CallRow{{ID: name, At: minute}}
		wire.cut.Store(test.where)
		if err := store.AddCalls(t.Context(), row); err == nil {
			t.Errorf("%s: the request log's writer hears nothing of it", name)
		}
		if err := retry(t, func() error { return store.AddCalls(t.Context(), row) }); err != nil {
			t.Fatal(err)
		}
		if rows, err := direct.Calls(t.Context(), minute, minute.Add(time.Minute), 10); err != nil || int64(len(rows)) != calls {
			t.Errorf("%s: got %d rows of the request log and error %v, want %d", name, len(rows), err, calls)
		}
	}
}

// retry does something until it succeeds, as often as the pool may have connections that are broken.
func retry(t *testing.T, do func() error) (err error) {
	t.Helper()
	for range maxConnections {
		if err = do(); err == nil {
			return nil
		}
	}
	return err
}
