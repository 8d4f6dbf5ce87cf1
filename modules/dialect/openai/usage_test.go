package openai

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestUsageOfCountsEveryTokenOnce(t *testing.T) {
	tests := []struct {
		name, usage string
		want        dialect.Usage
		ok          bool
	}{
		{"no details", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}`, dialect.Usage{Input: 10, Output: 5}, true},
		{"cached, written and reasoning", `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},"completion_tokens_details":{"reasoning_tokens":20}}`,
			dialect.Usage{Input: 10, CacheRead: 60, CacheWrite: 30, Output: 30, Reasoning: 20}, true},
		{"null details", `{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":null}`, dialect.Usage{Input: 10, Output: 5}, true},
		{"DeepSeek's cache", `{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}`, dialect.Usage{Input: 6, CacheRead: 4, Output: 5}, true},
		{"both names of one cache", `{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"prompt_cache_hit_tokens":4}`, dialect.Usage{Input: 6, CacheRead: 4, Output: 5}, true},
		{"reasoning beside the completion", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,"completion_tokens_details":{"reasoning_tokens":30}}`, dialect.Usage{Input: 10, Output: 5, Reasoning: 30}, true},
		{"embeddings", `{"prompt_tokens":8,"total_tokens":8}`, dialect.Usage{Input: 8}, true},
		{"details that exceed the whole", `{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":60},"completion_tokens_details":{"reasoning_tokens":7}}`, dialect.Usage{CacheRead: 10, Reasoning: 5}, true},
		{"details that cannot be true", `{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-1},"completion_tokens_details":{"reasoning_tokens":"7"}}`, dialect.Usage{Input: 10, Output: 5}, true},
		{"zero", `{"prompt_tokens":0,"completion_tokens":0}`, dialect.Usage{}, true},
		{"null", `null`, dialect.Usage{}, false},
		{"nothing in it", `{}`, dialect.Usage{}, false},
		{"below zero", `{"prompt_tokens":-10,"completion_tokens":5}`, dialect.Usage{}, false},
		{"absurd", `{"prompt_tokens":10,"completion_tokens":1e300}`, dialect.Usage{}, false},
		{"not numbers", `{"prompt_tokens":"10","completion_tokens":[]}`, dialect.Usage{}, false},
		{"no object", `[1]`, dialect.Usage{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := UsageOf([]byte(`{"id":"c","choices":[],"usage":` + tt.usage + `}`)); got != tt.want || ok != tt.ok {
				t.Errorf("UsageOf = %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
	if got, ok := UsageOf([]byte(`{"choices":[{"usage":{"prompt_tokens":1}}]}`)); ok {
		t.Errorf("UsageOf = %+v of a member further down", got)
	}
}

func TestStripUsageTakesOutNothingElse(t *testing.T) {
	tests := []struct {
		name, data, want string
		drop             bool
	}{
		{"no usage", `{"id":"c", "choices":[{}]}`, `{"id":"c", "choices":[{}]}`, false},
		{"usage in the text", `{"choices":[{"delta":{"content":"\"usage\":{}"}}]}`, `{"choices":[{"delta":{"content":"\"usage\":{}"}}]}`, false},
		{"usage further down", `{"choices":[{"usage":1}]}`, `{"choices":[{"usage":1}]}`, false},
		{"null at the end", `{"id":"c", "choices":[{}] ,"usage":null}`, `{"id":"c", "choices":[{}]}`, false},
		{"null between", `{"id":"c","usage":null, "choices":[ {} ],"x":1.0}`, `{"id":"c", "choices":[ {} ],"x":1.0}`, false},
		{"counts beside choices", `{"choices":[{}],"usage":{"prompt_tokens":1}}`, `{"choices":[{}]}`, false},
		{"null without choices", `{"choices":[],"prompt_filter_results":[],"usage":null}`, `{"choices":[],"prompt_filter_results":[]}`, false},
		{"counts without choices", `{"id":"c","choices":[ ],"usage":{"prompt_tokens":1}}`, ``, true},
		{"counts alone", `{"usage":{"prompt_tokens":1}}`, ``, true},
		{"the end", `[DONE]`, `[DONE]`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, drop := StripUsage(nil, []byte(tt.data)); string(out) != tt.want || drop != tt.drop {
				t.Errorf("StripUsage = %s, %v, want %s, %v", out, drop, tt.want, tt.drop)
			}
		})
	}
}

func TestStripUsageOfAChunkWithoutItDoesNotAllocate(t *testing.T) {
	data := []byte(`{"id":"c","choices":[{"index":0,"delta":{"content":"\"usage\" is a word"}}]}`)
	if n := testing.AllocsPerRun(100, func() { StripUsage(nil, data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Some servers tell in each chunk that they have not counted yet.
func TestStrippingUsageOfAStreamAllocatesOnce(t *testing.T) {
	data := []byte(`{"id":"c","choices":[{"index":0,"delta":{"content":"a word"}}],"usage":null}`)
	buf := make([]byte, 0, len(data))
	if n := testing.AllocsPerRun(100, func() { buf, _ = StripUsage(buf, data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUsageOfAnAnswerDoesNotAllocate(t *testing.T) {
	answer := []byte(`{"id":"c","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60}}}`)
	if n := testing.AllocsPerRun(100, func() { UsageOf(answer) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUsageIsAskedForBesideOtherOptions(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"model":"m", "stream":true}`, `{"model":"m", "stream":true,"stream_options":{"include_usage":true}}`},
		{`{"stream_options":null,"a":1}`, `{"stream_options":{"include_usage":true},"a":1}`},
		{`{"stream_options":{ "x": 1 },"a":1}`, `{"stream_options":{ "x": 1,"include_usage":true },"a":1}`},
		{`{"stream_options":{"include_usage":false,"x":1}}`, `{"stream_options":{"include_usage":true,"x":1}}`},
	}
	for _, tt := range tests {
		if got := WithUsage(nil, []byte(tt.body)); string(got) != tt.want {
			t.Errorf("WithUsage(%s) = %s, want %s", tt.body, got, tt.want)
		}
	}
}

func TestUsageIsDisjointAndAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		prompt, completion := n("prompt", 1000), n("completion", 1000)
		cached, reasoning := n("cached", prompt), n("reasoning", completion)
		u := object{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
			"prompt_tokens_details": object{"cached_tokens": cached, "cache_write_tokens": n("written", prompt-cached)}, "completion_tokens_details": object{"reasoning_tokens": reasoning}}
		got, ok := UsageOf(encode(t, object{"usage": u}))
		if !ok || got.InputTotal() != int64(prompt) || got.OutputTotal() != int64(completion) || got.CacheRead != int64(cached) || got.Reasoning != int64(reasoning) {
			t.Fatalf("UsageOf(%v) = %+v, %v", u, got, ok)
		}
	})
}

func FuzzUsageSurvivesAnything(f *testing.F) {
	f.Add([]byte(`{"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}`))
	f.Add([]byte(`{"usage":null,"choices":[{"delta":{"content":"\"usage\""}}]}`))
	f.Add([]byte(`{"usage":`))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, _ := UsageOf(data)
		if min(u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning) < 0 {
			t.Fatalf("UsageOf(%q) = %+v", data, u)
		}
		before := bytes.Clone(data)
		out, drop := StripUsage(nil, data)
		WithUsage(nil, data)
		if !bytes.Equal(before, data) {
			t.Fatal("the data was changed")
		}
		if dialect.Check(data) != nil || drop {
			return
		}
		if err := dialect.Check(out); err != nil {
			t.Fatalf("StripUsage(%q) = %q: %v", data, out, err)
		}
		for name := range dialect.Members(out) {
			if string(name) == "usage" && bytes.Contains(data, usageName) {
				t.Fatalf("StripUsage(%q) = %q", data, out)
			}
		}
	})
}
