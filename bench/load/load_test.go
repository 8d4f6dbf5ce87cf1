package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func dial(t *testing.T, address string) *Connection {
	t.Helper()
	c, err := Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestExchangesFollowEachOtherOnOneConnection(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	var asked []string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.RemoteAddr+r.Header.Get("X-Way")+string(body))
		switch r.URL.Path {
		case "/whole":
			fmt.Fprint(w, "whole")
		case "/long":
			fmt.Fprint(w, long)
		case "/parts":
			for i := range 20 {
				fmt.Fprintf(w, "part %d\n", i)
				http.NewResponseController(w).Flush()
			}
		case "/nothing":
		}
	})
	c := dial(t, address)
	for path, want := range map[string]string{"/whole": "whole", "/long": long, "/parts": "part 19\n", "/nothing": ""} {
		answer, err := c.Ask(Post(address, path, []byte(path), "X-Way", "there"))
		if err != nil || answer.Status != 200 || !strings.HasSuffix(string(answer.Body), want) || !strings.HasPrefix(answer.Head, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: %d, %v, %.80q %.80q", path, answer.Status, err, answer.Head, answer.Body)
		}
		if err := c.Exchange(Post(address, path, []byte(path), "X-Way", "there")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if last := asked[len(asked)-1]; last != c.net.LocalAddr().String()+"there"+path {
			t.Errorf("the server was asked %q", last)
		}
	}
}

func TestExchangeFailsWithWhatTheServerSays(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/closing":
			w.Header().Set("Connection", "close")
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
			panic(http.ErrAbortHandler)
		default:
			http.Error(w, "slow down", http.StatusTooManyRequests)
		}
	})
	for path, want := range map[string]string{"/": "answered with 429: slow down", "/closing": "closes the connection", "/cut": "EOF"} {
		err := dial(t, address).Exchange(Post(address, path, nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestBeginReadsTheFirstEventAndLeavesTheRest(t *testing.T) {
	left := make(chan struct{})
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: first\ndata: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	c := dial(t, address)
	if err := c.Begin(Post(address, "/", nil)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-left
}

func TestClosedLoopAsksAgainAsItIsAnswered(t *testing.T) {
	var together, most atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for n := together.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		io.Copy(w, r.Body)
		together.Add(-1)
	})
	var began, ended bool
	var numbers [4]atomic.Int64
	result, err := Run(t.Context(), Plan{
		Address: address, Connections: 4, WarmUp: 10 * time.Millisecond, Measure: 100 * time.Millisecond,
		Next: func(connection, n int) []byte {
			if !numbers[connection].CompareAndSwap(int64(n), int64(n)+1) {
				t.Errorf("connection %d asks for request %d out of turn", connection, n)
			}
			return Post(address, "/", []byte("question"))
		},
		Began: func() error { began = true; return nil },
		Ended: func() error { ended = true; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !began || !ended || result.Elapsed < 100*time.Millisecond || most.Load() > 4 {
		t.Errorf("began %t, ended %t, %s, up to %d at once", began, ended, result.Elapsed, most.Load())
	}
	var sent int64
	for i := range numbers {
		if numbers[i].Load() == 0 {
			t.Errorf("connection %d was not used", i)
		}
		sent += numbers[i].Load()
	}
	if n := int64(len(result.Latencies)); n == 0 || n > sent {
		t.Errorf("%d latencies of %d requests", n, sent)
	}
}

// A server that stalls once must not hide behind the requests that could not be sent meanwhile: nearly all of those that were due
// while it stalled have waited for it.
func TestOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	const stall = 400 * time.Millisecond
	var asked atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			timer := time.NewTimer(stall)
			defer timer.Stop()
			<-timer.C
		}
	})
	result, err := Run(t.Context(), Plan{
		Address: address, Connections: 1, Measure: stall + 300*time.Millisecond, Rate: 100,
		Next: func(int, int) []byte { return Post(address, "/", nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, latency := range result.Latencies {
		if latency > stall/4 {
			late++
		}
	}
	if late < 25 { // 30 were due in the first three quarters of the stall
		t.Errorf("%d of %d requests have waited", late, len(result.Latencies))
	}
}

func TestRunEndsWithTheFirstFailure(t *testing.T) {
	var asked atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 10 {
			http.Error(w, "enough", http.StatusServiceUnavailable)
		}
	})
	_, err := Run(t.Context(), Plan{
		Address: address, Connections: 2, Measure: time.Hour,
		Next: func(int, int) []byte { return Post(address, "/", nil) },
	})
	if err == nil || !strings.Contains(err.Error(), "503: enough") {
		t.Error(err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel() })
	_, err := Run(ctx, Plan{
		Address: address, Connections: 2, Measure: time.Hour,
		Next: func(int, int) []byte { return Post(address, "/", nil) },
	})
	if err != context.Canceled {
		t.Error(err)
	}
}

func BenchmarkExchange(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "answer") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	c, err := Dial(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request := Post(address, "/", []byte("question"))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Exchange(request); err != nil {
			b.Fatal(err)
		}
	}
}
