package main

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// distance is how far away a farRedis is.
const distance = 100 * time.Millisecond

// farRedis stands before a Redis and lets each answer take its time, so that a call's latency tells how often it has waited for one.
func farRedis(t *testing.T, near *redisServer) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	carry := func(to, from net.Conn, takes time.Duration) {
		type piece struct {
			due  time.Time
			text []byte
		}
		pieces := make(chan piece, 1024)
		all.Go(func() {
			defer to.Close()
			for p := range pieces {
				<-time.After(time.Until(p.due))
				to.Write(p.text) //nolint:errcheck // the other direction sees that it is closed
			}
		})
		defer close(pieces)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now().Add(takes), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", near.Address)
			if err != nil {
				client.Close()
				continue
			}
			all.Go(func() { carry(server, client, 0) })
			all.Go(func() { carry(client, server, distance) })
		}
	})
	return strings.Replace(near.URL(), near.Address, listener.Addr().String(), 1)
}

// A cached answer waits for Redis once, whatever limits there are, and where another gateway has made it too; and not at all where the
// gateway has it and no limit is to be decided on.
func TestFleetWaitsForRedisOnceForACachedAnswer(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 5s\nurl " + farRedis(t, f.redis)
	maker := f.join()
	reader := f.join()
	for _, p := range []*process{maker, reader} {
		p.awaitFeed()
	}
	limited := maker.newKey(map[string]any{"name": "limited", "limits": []string{"100/1h", "100000tokens/1h", "50concurrent"}})
	free := maker.newKey(map[string]any{"name": "free", "limits": []string{}})

	// The cache's first level is there once Redis tells of changes; connections are there once they were used.
	warm := func(p *process) {
		for range 3 {
			p.do("POST", chatPath, limited, chatBody("demo", `,"temperature":0`))
			p.do("POST", chatPath, free, chatBody("demo", `,"temperature":0`))
		}
	}
	warm(maker)
	warm(reader)
	ask := func(p *process, path, key, body, want string) time.Duration {
		t.Helper()
		start := time.Now()
		got := p.do("POST", path, key, body)
		if got.Status != 200 || got.Header.Get("X-Cache") != want {
			t.Errorf("%d %s %s, want %s", got.Status, got.Header.Get("X-Cache"), got.Body, want)
		}
		return time.Since(start)
	}
	// quickest of some is what it takes when the machine that runs the tests does not add to it.
	quickest := func(once func(i int) time.Duration) time.Duration {
		most := time.Hour
		for i := range 5 {
			most = min(most, once(i))
		}
		return most
	}
	for _, c := range []struct {
		name, path, body string // with a % for a number
	}{
		{"chat", chatPath, `{"model":"demo","temperature":0,"messages":[{"role":"user","content":"call %."}]}`},
		{"a stream", chatPath, `{"model":"demo","temperature":0,"messages":[{"role":"user","content":"event %."}],"stream":true}`},
		{"a structured prompt", "/v1/analyze/", `{"prompt":"Translate Hello World to French, % times","llm_provider":"auto"}`},
	} {
		body := func(i int) string { return strings.Replace(c.body, "%", strconv.Itoa(i), 1) }
		for who, key := range map[string]string{"with limits": limited, "without limits": free} {
			for i := range 5 {
				ask(maker, c.path, key, body(i), "MISS")
			}
			took := quickest(func(i int) time.Duration { return ask(reader, c.path, key, body(i), "HIT") })
			if took < distance || took >= 2*distance {
				t.Errorf("%s, %s, made elsewhere: took %v, want one round trip of %v", c.name, who, took, distance)
			}
			trips := distance // for the limits alone
			if key == free {
				trips = 0
				poll(t, 20*time.Second, "the answer to be kept near", func() bool { return ask(reader, c.path, key, body(0), "HIT") < distance })
			}
			took = quickest(func(int) time.Duration { return ask(reader, c.path, key, body(0), "HIT") })
			if took < trips || took >= trips+distance {
				t.Errorf("%s, %s, kept near: took %v, want %v", c.name, who, took, trips)
			}
		}
	}
}
