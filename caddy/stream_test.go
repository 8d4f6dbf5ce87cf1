package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const chatPath = "/v1/chat/completions"

func chatBody(model string, extra string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello"}]%s}`, model, extra)
}

// Cases 56 and 57: events are not held back, whatever stands between.
func TestEventsLeaveAsTheyArrive(t *testing.T) {
	step := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		send := begin(w)
		for i := range 5 {
			send(chunk(fmt.Sprintf("piece %d ", i)))
			select {
			case <-step: // the client has read it
			case <-r.Context().Done():
				return
			}
		}
		send(chunkStop)
		send(chunkUsage)
		send(chunkDone)
	})
	p := start(t, site(up.provider(), "encode\nllm"), upKey)
	resp, err := p.send(t.Context(), "POST", chatPath, p.Key, chatBody("m", `,"stream":true`), "Accept-Encoding", "identity")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range 5 {
		if text := nextData(t, lines); !strings.Contains(text, fmt.Sprintf("piece %d ", i)) {
			t.Fatalf("event %d is %s", i, text)
		}
		step <- struct{}{} // only now does the upstream send the next
	}
	if text := nextData(t, lines); !strings.Contains(text, `"finish_reason":"stop"`) {
		t.Fatalf("the last chunk is %s", text)
	}
	if text := nextData(t, lines); text != "[DONE]" {
		t.Fatalf("after the last chunk came %s: the usage event was not asked for by the client", text)
	}
}

func nextData(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return data
		}
	}
	t.Fatalf("the stream ended early: %v", lines.Err())
	return ""
}

// Case 59: what the gateway asked for itself is taken out again; the rest is the provider's, to the byte.
func TestAStreamIsTheProvidersBytesLessTheUsageThatTheGatewayAskedFor(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { answerStream(w, "a", "b") })
	p := start(t, site(up.provider(), "llm"), upKey)

	got := p.do("POST", chatPath, p.Key, chatBody("m", `,"stream":true`))
	want := strings.ReplaceAll(chunk("a")+chunk("b")+chunkStop, `,"usage":null`, "") + chunkDone
	if got.Body != want {
		t.Errorf("without include_usage the client got\n%s\nnot\n%s", got.Body, want)
	}
	got = p.do("POST", chatPath, p.Key, chatBody("m", `,"stream":true,"stream_options":{"include_usage":true}`))
	if want := chunk("a") + chunk("b") + chunkStop + chunkUsage + chunkDone; got.Body != want {
		t.Errorf("with include_usage the client got\n%s\nnot\n%s", got.Body, want)
	}
}

// Case 63: a request differs upstream only in model and credentials, and in asking for a stream's usage.
func TestARequestDiffersUpstreamOnlyInModelAndCredentials(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			answerStream(w, "x")
			return
		}
		answerWhole(w, answerText("x"))
	})
	p := start(t, site(up.provider()+"\n\t\tmodel fast {\n\t\t\ttarget up/real-model\n\t\t}", "llm"), upKey)
	body := "{ \"model\" : \"fast\",\n \"unknown\": {\"a\":[1.0, 2e3,\"\\u00e9\"]}, \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo\"}],\"seed\": 9007199254740993 %s}"

	p.do("POST", chatPath, p.Key, fmt.Sprintf(body, ""))
	p.do("POST", chatPath, p.Key, fmt.Sprintf(body, `, "stream":true,"stream_options": {"x":1}`))
	seen := up.requests()
	if len(seen) != 2 {
		t.Fatalf("the upstream saw %d requests", len(seen))
	}
	if want := strings.Replace(fmt.Sprintf(body, ""), `"fast"`, `"real-model"`, 1); seen[0].Body != want {
		t.Errorf("upstream got\n%s\nnot\n%s", seen[0].Body, want)
	}
	want := strings.Replace(fmt.Sprintf(body, `, "stream":true,"stream_options": {"x":1,"include_usage":true}`), `"fast"`, `"real-model"`, 1)
	if seen[1].Body != want {
		t.Errorf("upstream got\n%s\nnot\n%s", seen[1].Body, want)
	}
	for _, s := range seen {
		if got := s.Header.Get("Authorization"); got != "Bearer "+strings.TrimPrefix(upKey, "UP_KEY=") {
			t.Errorf("upstream got the credential %q", got)
		}
		for name, values := range s.Header {
			if strings.Contains(strings.Join(values, " "), p.Key) {
				t.Errorf("the gateway key went upstream as %s", name)
			}
		}
	}
}

// Cases 42 to 44: whoever leaves, at whatever moment, ends the work upstream.
func TestAClientWhoLeavesEndsTheCallUpstream(t *testing.T) {
	for _, c := range []struct {
		name, extra string
		begin       bool // the upstream sends an event before it falls silent
	}{
		{"stream after an event", `,"stream":true`, true},
		{"stream before the first event", `,"stream":true`, false},
		{"whole answer", "", false},
		{"whole answer that is shared", `,"temperature":0`, false},
		{"stream that is shared", `,"temperature":0,"stream":true`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked, ended := make(chan struct{}), make(chan struct{})
			up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				if c.begin {
					begin(w)(chunk("a"))
				}
				close(asked)
				<-r.Context().Done()
				close(ended)
			})
			p := start(t, site(up.provider(), "llm"), upKey)
			ctx, leave := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				resp, err := p.send(ctx, "POST", chatPath, p.Key, chatBody("m", c.extra))
				if err == nil {
					_, err = bufio.NewReader(resp.Body).ReadString(0)
					resp.Body.Close()
				}
				answered <- err
			}()
			<-asked
			left := time.Now()
			leave()
			select {
			case <-ended:
				if took := time.Since(left); took > 200*time.Millisecond && !raceEnabled {
					t.Errorf("the call upstream ended %s after the client had left", took)
				}
			case <-time.After(10 * time.Second):
				t.Error("the call upstream goes on without its client")
			}
			<-answered
			poll(t, 5*time.Second, "no call in flight", func() bool {
				return strings.Contains(p.do("GET", "/v1/metrics", "", "").Body, "\ngateway_requests_in_flight 1\n") // the one that asks
			})
		})
	}
}

// Case 50: a stream that breaks ends in an error that SDKs raise, without [DONE], and is not kept.
func TestABrokenStreamEndsInAnErrorAndIsNotKept(t *testing.T) {
	var calls atomic.Int32
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		if calls.Add(1) > 1 {
			answerStream(w, "whole")
			return
		}
		begin(w)(chunk("half"))
		panic(http.ErrAbortHandler)
	})
	p := start(t, site(up.provider(), "llm"), upKey)
	body := chatBody("m", `,"stream":true,"temperature":0`)
	first := p.do("POST", chatPath, p.Key, body)
	if !strings.Contains(first.Body, "half") || !strings.Contains(first.Body, `data: {"error":{`) || strings.Contains(first.Body, "[DONE]") {
		t.Errorf("the broken stream is\n%s", first.Body)
	}
	second := p.do("POST", chatPath, p.Key, body)
	if !strings.Contains(second.Body, "whole") || second.Header.Get("X-Cache") != "MISS" {
		t.Errorf("after the broken stream came (%s)\n%s", second.Header.Get("X-Cache"), second.Body)
	}
	if metrics := p.do("GET", "/v1/metrics", "", "").Body; !strings.Contains(metrics, `gateway_streams_truncated_total{provider="up"} 1`) {
		t.Error("the metric of broken streams is not 1")
	}
}

// Case 52: an error as the first event of a 200 is an error, with its own status.
func TestAnErrorAsTheFirstEventIsAnsweredWithItsStatus(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		begin(w)("data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n")
	})
	p := start(t, site(up.provider(), "llm"), upKey)
	got := p.do("POST", chatPath, p.Key, chatBody("m", `,"stream":true`))
	if got.Status != http.StatusBadGateway || !strings.Contains(got.Body, "overloaded") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// Case 53: a target that fails before its first event is followed by the next, streamed or not.
func TestAFailingTargetIsFollowedByItsFallback(t *testing.T) {
	bad := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	good := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			answerStream(w, "rescued")
			return
		}
		answerWhole(w, answerText("rescued"))
	})
	config := strings.Replace(bad.provider(), "provider up", "provider bad", 1) + "\n" + good.provider() +
		"\n\t\tmodel safe {\n\t\t\ttarget bad/m\n\t\t\tfallback up/m\n\t\t}"
	p := start(t, site(config, "llm"), upKey)
	for _, extra := range []string{"", `,"stream":true`} {
		got := p.do("POST", chatPath, p.Key, chatBody("safe", extra))
		if got.Status != http.StatusOK || !strings.Contains(got.Body, "rescued") || got.Header.Get("X-Llm-Attempts") != "2" || got.Header.Get("X-Llm-Provider") != "up" {
			t.Errorf("with %q: %d %v %s", extra, got.Status, got.Header, got.Body)
		}
	}
}

// Case 94: a reload cuts no stream and forgets no limit.
func TestAReloadUnderAHundredStreamsCutsNoneAndForgetsNoLimit(t *testing.T) {
	const streams = 100
	var begun sync.WaitGroup
	begun.Add(streams)
	release := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		send := begin(w)
		send(chunk("before "))
		begun.Done()
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		send(chunk("after"))
		send(chunkStop)
		send(chunkUsage)
		send(chunkDone)
	})
	config := site(up.provider(), "llm")
	p := start(t, config, upKey)
	limited := p.newKey(map[string]any{"name": "three", "limits": []string{"3/1h"}})
	for i := range 3 {
		if got := p.do("GET", "/v1/models", limited, ""); got.Status == http.StatusTooManyRequests {
			t.Fatalf("call %d of 3 was refused: %s", i+1, got.Body)
		}
	}

	bodies := make(chan string, streams)
	for i := range streams {
		go func() {
			resp, err := p.send(context.Background(), "POST", chatPath, p.Key, chatBody("m", fmt.Sprintf(`,"stream":true,"seed":%d`, i)))
			if err != nil {
				bodies <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, err := bufio.NewReader(resp.Body).ReadString(0)
			bodies <- text + fmt.Sprint(err)
		}()
	}
	begun.Wait()
	p.configure(strings.Replace(config, "llm_gateway {", "llm_gateway {\n\t\tmax_body 16MiB", 1))
	p.reload()
	p.configure(config)
	p.reload()
	if got := p.do("GET", "/v1/models", limited, ""); got.Status != http.StatusTooManyRequests {
		t.Errorf("after the reloads the exhausted key got %d", got.Status)
	}
	close(release)
	whole := regexp.MustCompile(`(?s)before .*after.*\[DONE\]\n\nEOF$`)
	for range streams {
		if text := <-bodies; !whole.MatchString(text) {
			t.Fatalf("a stream was cut: %q", text)
		}
	}
}
