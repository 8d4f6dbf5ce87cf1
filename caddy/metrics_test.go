package main

import (
	"strings"
	"testing"
)

// Case 41: the series count what happened, and a reload resets none.
func TestMetricsCountAndOutliveAReload(t *testing.T) {
	p := start(t, standard(t))
	p.do("POST", chatPath, p.Key, chatBody("demo", `,"temperature":0`))
	p.do("POST", chatPath, p.Key, chatBody("demo", `,"temperature":0`))
	p.do("POST", chatPath, p.Key, chatBody("demo", `,"stream":true`))
	p.do("POST", chatPath, p.Key, chatBody("no-such-model", ""))
	p.do("POST", chatPath, "", chatBody("demo", ""))
	want := []string{
		`gateway_requests_total{code="200",model="demo",surface="chat_completions"} 3`,
		`gateway_requests_total{code="404",model="_other",surface="chat_completions"} 1`,
		`gateway_requests_total{code="401",model="_other",surface="chat_completions"} 1`,
		`gateway_request_duration_seconds_count{code="200",surface="chat_completions"} 3`,
		`gateway_overhead_seconds_count{surface="chat_completions"} 5`,
		`gateway_cache_results_total{result="hit",surface="chat_completions"} 1`,
		`gateway_cache_results_total{result="miss",surface="chat_completions"} 1`,
		`gateway_cache_results_total{result="bypass",surface="chat_completions"} 1`,
		`gateway_upstream_requests_total{model="demo",outcome="ok",provider="demo"} 2`,
		`gateway_upstream_duration_seconds_count{provider="demo"} 2`,
		`gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="demo",gen_ai_request_model="demo",gen_ai_token_type="output"} 2`,
		`gen_ai_client_operation_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="demo",gen_ai_request_model="demo"} 2`,
		`gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="demo",gen_ai_request_model="demo"} 1`,
	}
	check := func(when string) {
		t.Helper()
		text := p.do("GET", "/v1/metrics", "", "").Body
		for _, line := range want {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s there is no %s", when, line)
			}
		}
		if strings.Contains(text, "no-such-model") {
			t.Errorf("%s a client's word is a label", when)
		}
	}
	check("at first")
	p.reload()
	check("after a reload")
}

// The access log tells of each call what its placeholders hold.
func TestTheAccessLogTellsOfTheCall(t *testing.T) {
	p := start(t, standard(t))
	p.do("POST", chatPath, p.Key, chatBody("demo", `,"max_tokens":3`), "X-Request-Id", "my-own-id.7")
	poll(t, 10e9, "the access log", func() bool { return strings.Contains(p.out.String(), `"llm_request_id":"my-own-id.7"`) })
	for _, want := range []string{`"llm_model":"demo"`, `"llm_provider":"demo"`, `"llm_cache":"bypass"`, `"llm_output_tokens":3`, `"user_id":"key_`} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("the access log lacks %s", want)
		}
	}
}
