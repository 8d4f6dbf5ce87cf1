package redis

import "testing"

func TestReachableFollowsTheBreaker(t *testing.T) {
	s := startServer(t)
	client := s.client()
	store := &Store{state: &state{client: client}}
	l := openLimiter(t, client, Allow, nil)
	admit(t, l, -1, requests("key:a", 1000, 1e9))
	if !store.Reachable() {
		t.Error("redis answers and counts as out of reach")
	}
	s.kill()
	for range openAfter {
		admit(t, l, -1, requests("key:a", 1000, 1e9))
	}
	if store.Reachable() {
		t.Error("redis was killed and counts as reachable")
	}
}
