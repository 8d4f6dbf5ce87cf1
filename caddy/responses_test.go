package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// A provider with the Responses API gets what the client wrote, under the gateway's credential; its answer is limited, counted and
// kept as any other.
func TestResponsesPassToAProviderThatHasThem(t *testing.T) {
	const answered = `{"id":"resp_1","object":"response","created_at":1760000000,"status":"completed","error":null,"incomplete_details":null,"model":"m-2026","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"pong","annotations":[]}]}],"usage":{"input_tokens":40,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":43}}`
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request, body string) {
		if !gjson.Get(body, "stream").Bool() {
			answerWhole(w, answered)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n"+
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":%s}\n\n", answered)
	})
	p := start(t, strings.Replace(standard(t), "llm_gateway {", "llm_gateway {\n"+up.provider("models m", "surfaces chat responses"), 1), upKey)
	key := p.newKey(map[string]any{"limits": []string{"1000tokens/1h"}})
	ask := func(more string) response {
		t.Helper()
		return p.do("POST", responsesPath, key, `{"model":"up/m","input":"ping","tools":[{"type":"web_search"}],"max_output_tokens":99`+more+`}`)
	}

	first := ask(`,"temperature":0`)
	if first.Status != 200 || first.Body != answered {
		t.Fatalf("answered is %d %s", first.Status, first.Body)
	}
	seen := up.requests()[0]
	if seen.Path != responsesPath || seen.Header.Get("Authorization") != "Bearer "+strings.TrimPrefix(upKey, "UP_KEY=") || gjson.Get(seen.Body, "model").Str != "m" || gjson.Get(seen.Body, "tools.0.type").Str != "web_search" {
		t.Errorf("upstream got %+v", seen)
	}
	if hit := ask(`,"temperature":0,"stream":true`); hit.Header.Get("X-Cache") != "HIT" || !strings.HasSuffix(hit.Body, answered+"}\n\n") || len(up.requests()) != 1 {
		t.Errorf("from the cache comes %v %s", hit.Header, hit.Body)
	}
	if streamed := ask(`,"stream":true`); !strings.HasPrefix(streamed.Body, "event: response.created\n") || !strings.HasSuffix(streamed.Body, answered+"}\n\n") {
		t.Errorf("the stream is %s", streamed.Body)
	}
	if refused := ask(`,"max_output_tokens":5000`); refused.Status != 400 { // a member twice
		t.Errorf("answered is %d", refused.Status)
	}
	// Two calls were made upstream, of 43 tokens each. The third reserves 99 and what its prompt may be.
	last := ask("")
	if left, _ := strconv.Atoi(last.Header.Get("X-Ratelimit-Remaining-Tokens")); left > 1000-2*43-99 || left < 1000-2*43-150 {
		t.Errorf("%d tokens are left", left)
	}
	if got := p.do("POST", responsesPath, key, `{"model":"up/m","input":"ping","max_output_tokens":5000}`); got.Status != 429 {
		t.Errorf("a call that may cost 5000 of 1000: %d", got.Status)
	}
	text := p.do("GET", "/v1/metrics", "", "").Body
	for _, line := range []string{
		`gateway_requests_total{code="200",model="m",surface="responses"} 4`,
		`gateway_cache_results_total{result="hit",surface="responses"} 1`,
		`gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="up",gen_ai_request_model="m",gen_ai_token_type="output"} 9`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}
