package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// What a monitoring system keeps grows with what the operator configures, and never with what clients send.
func TestSeriesDoNotGrowWithKeys(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		if strings.Contains(body, `"stream":true`) {
			answerStream(w, "one", "two")
			return
		}
		answerWhole(w, answerText("x"))
	})
	var config strings.Builder
	config.WriteString(up.provider() + "\n\t\tprovider demo\n\t\tprovider second demo {\n\t\t\tfail 503 3\n\t\t}\n") // up takes every model
	for i := range 5 {
		fmt.Fprintf(&config, "\t\tmodel configured-%d {\n\t\t\ttarget second/demo\n\t\t\tfallback up/m%d\n\t\t\tfallback demo/demo\n\t\t}\n", i, i)
	}
	chain := "llm_health\nllm_keys\nllm_auth\nllm_rate_limit {\n\trequests 1_000_000 1h\n\ttokens 1_000_000_000 1h\n}\nllm_analyze\nllm_cache\nllm_proxy"
	p := start(t, site(config.String(), chain), upKey)

	const keys = 1000
	var callers sync.WaitGroup
	for worker := range 8 {
		callers.Go(func() {
			for i := worker; i < keys; i += 8 {
				key := p.newKey(map[string]any{"name": fmt.Sprintf("invented-%d", i), "team": fmt.Sprintf("invented-team-%d", i)})
				p.do("POST", chatPath, key, chatBody(fmt.Sprintf("invented-%d", i), `,"temperature":0`), "X-Request-Id", fmt.Sprintf("invented-%d", i))
				p.do("POST", chatPath, key, chatBody(fmt.Sprintf("up/invented-%d", i), `,"stream":true,"user":"invented"`))
				p.do("POST", chatPath, key, chatBody(fmt.Sprintf("configured-%d", i%5), `,"stream":true`))
				p.do("POST", "/v1/analyze/", key, fmt.Sprintf(`{"prompt":"invented %d","llm_provider":"demo"}`, i))
				p.do("GET", fmt.Sprintf("/v1/models/invented-%d", i), key, "")
				p.do("GET", fmt.Sprintf("/v1/invented-%d", i), key, "")
			}
		})
	}
	callers.Wait()

	series := 0
	for line := range strings.Lines(p.do("GET", "/v1/metrics", "", "").Body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series++
		for _, word := range []string{"invented", "sp_", "key_"} {
			if strings.Contains(line, word) {
				t.Errorf("a client's word is a label: %s", line)
			}
		}
	}
	if series >= 1500 || series < 100 {
		t.Errorf("%d keys have made %d series, want fewer than 1500", keys, series)
	}
	t.Logf("%d keys, 3 providers and 5 models have made %d series", keys, series)
}
