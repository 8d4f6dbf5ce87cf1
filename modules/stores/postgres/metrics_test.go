package postgres

import (
	"testing"
	"time"
)

func TestReachableFollowsTheServer(t *testing.T) {
	t.Parallel()
	srv := ownServer(t)
	store := openStore(t, srv.newDatabase(t))
	db := &Database{store: store}
	if db.Reachable() {
		t.Error("the server is reachable before anybody has tried")
	}
	feed := follow(t, store)
	for range 2 {
		feed.expect(wasReset, 10*time.Second)
		if !db.Reachable() {
			t.Error("the server is there and counts as out of reach")
		}
		srv.kill()
		feed.expect(wasLost, time.Second)
		if db.Reachable() {
			t.Error("the server was killed and counts as reachable")
		}
		if err := srv.start(); err != nil {
			t.Fatal(err)
		}
	}
}
