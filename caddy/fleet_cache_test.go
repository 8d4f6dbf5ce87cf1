package main

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An answer that one gateway has made is a hit on every other.
func TestFleetSharesItsAnswers(t *testing.T) {
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		calls.Add(1)
		answerWhole(w, answerText("shared answer"))
	})
	f := newFleet(t, up)
	f.store = "timeout 2s"
	members := f.joinMany(3)
	key := members[0].newKey(map[string]any{"name": "free", "limits": []string{}})
	for i, p := range members {
		want := "HIT"
		if i == 0 {
			want = "MISS"
		}
		got := p.do("POST", chatPath, key, chatBody("m", `,"temperature":0`))
		if got.Status != 200 || got.Header.Get("X-Cache") != want || !strings.Contains(got.Body, "shared answer") {
			t.Errorf("gateway %d: %d %s %s, want %s", i, got.Status, got.Header.Get("X-Cache"), got.Body, want)
		}
		stream := p.do("POST", chatPath, key, chatBody("m", `,"temperature":0,"stream":true`))
		if stream.Header.Get("X-Cache") != "HIT" || !strings.HasSuffix(stream.Body, "data: [DONE]\n\n") {
			t.Errorf("gateway %d, as a stream: %s %s", i, stream.Header.Get("X-Cache"), stream.Body)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls upstream, want 1", calls.Load())
	}
}

// Identical calls in progress are one call upstream, whichever gateways they come to.
func TestFleetMakesIdenticalCallsOnce(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		calls.Add(1)
		<-release
		answerWhole(w, answerText("one"))
	})
	f := newFleet(t, up)
	f.store = "timeout 2s"
	members := f.joinMany(3)
	key := members[0].newKey(map[string]any{"name": "free", "limits": []string{}})
	var wg sync.WaitGroup
	var good atomic.Int32
	for i := range 90 {
		wg.Go(func() {
			if got := members[i%3].do("POST", chatPath, key, chatBody("m", `,"temperature":0`)); got.Status == 200 && strings.Contains(got.Body, "one") {
				good.Add(1)
			}
		})
	}
	for _, p := range members {
		poll(t, 10*time.Second, "all calls to wait", func() bool { return p.metric("gateway_requests_in_flight") == "31" })
	}
	close(release)
	wg.Wait()
	t.Logf("90 identical calls to 3 gateways: %d calls upstream", calls.Load())
	if calls.Load() != 1 || good.Load() != 90 {
		t.Errorf("%d calls upstream, %d good answers of 90", calls.Load(), good.Load())
	}
}

// A gateway that dies in the middle of a call that others wait for keeps nobody waiting for longer than its lease lasts.
func TestFleetGoesOnWhereAnotherGatewayDied(t *testing.T) {
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if calls.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		answerWhole(w, answerText("second"))
	})
	f := newFleet(t, up)
	f.store = "timeout 2s"
	members := f.joinMany(2)
	key := members[0].newKey(map[string]any{"name": "free", "limits": []string{}})
	body := chatBody("m", `,"temperature":0`)
	go func() {
		if resp, err := members[0].send(t.Context(), "POST", chatPath, key, body); err == nil {
			resp.Body.Close()
		}
	}()
	poll(t, 10*time.Second, "the first call upstream", func() bool { return calls.Load() == 1 })
	answered := make(chan response, 1)
	go func() { answered <- members[1].do("POST", chatPath, key, body) }()
	poll(t, 10*time.Second, "the other gateway to wait", func() bool { return members[1].metric("gateway_requests_in_flight") == "2" })
	members[0].kill()
	killed := time.Now()
	select {
	case got := <-answered:
		t.Logf("the other gateway answered %s after the death of the first", time.Since(killed).Round(time.Millisecond))
		if got.Status != 200 || !strings.Contains(got.Body, "second") {
			t.Errorf("it answered %d %s", got.Status, got.Body)
		}
	case <-time.After(12 * time.Second):
		t.Fatal("the other gateway still waits")
	}
}
