package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What a call with a large image allocates is the body as it came and, for the provider, one copy of it, whether the dialects are the
// same or not.
func TestALargeImageIsCopiedOnce(t *testing.T) {
	const size = 5 << 20
	image := strings.Repeat("QUJD", size/4)
	var received int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/messages" {
			io.WriteString(w, `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"A cat."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`)
			return
		}
		io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"A cat."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	}))
	defer upstream.Close()
	p := start(t, site(fmt.Sprintf("\t\tprovider open openai {\n\t\t\tbase_url %[1]s/v1\n\t\t\tmodels gpt-x\n\t\t}\n\t\tprovider claude anthropic {\n\t\t\tbase_url %[1]s\n\t\t\tmodels claude-x\n\t\t}", upstream.URL), "\tllm"))

	bodies := map[string]string{
		chatPath:       `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + image + `"}}]}]}`,
		"/v1/messages": `{"model":%q,"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + image + `"}}]}]}`,
	}
	for path, body := range bodies {
		for _, model := range []string{"gpt-x", "claude-x"} {
			t.Run(strings.Trim(path, "/")+" to "+model, func(t *testing.T) {
				ask := func() {
					if got := p.do("POST", path, p.Key, fmt.Sprintf(body, model)); got.Status != 200 || !strings.Contains(got.Body, "A cat.") || received < size {
						t.Fatalf("%d %.200s; the provider got %d bytes", got.Status, got.Body, received)
					}
				}
				ask() // what the first call opens does not count
				const calls = 4
				before := allocated(t, p)
				for range calls {
					ask()
				}
				perCall := (allocated(t, p) - before) / calls
				t.Logf("%.2f times its size", perCall/size)
				most := 2.5 * size // itself, 1 MiB of it once more while it came, and its copy
				if raceEnabled {
					most += size // a buffer that grows is allocated twice there
				}
				if perCall > most {
					t.Errorf("a call with an image of %d bytes allocates %.0f", size, perCall)
				}
			})
		}
	}
}

// allocated is all that a gateway has allocated so far, in bytes.
func allocated(t *testing.T, p *process) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^go_memstats_alloc_bytes_total (\S+)$`).FindStringSubmatch(p.do("GET", "/v1/metrics", "", "").Body)
	if m == nil {
		t.Fatal("the metrics say nothing of memory")
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
