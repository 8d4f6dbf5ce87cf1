package openai

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// maxUsage is the largest count of tokens that one answer can have used. More is nonsense.
const maxUsage = 1 << 30

var usageName = []byte(`"usage"`)

// UsageOf reads the usage of a whole answer or of a chunk; false where it has none, or none that can be true.
//
// OpenAI's prompt_tokens include the cached ones and completion_tokens the reasoning ones. DeepSeek names
// the cached ones prompt_cache_hit_tokens. xAI counts reasoning_tokens beside completion_tokens, which only
// the total tells.
func UsageOf(answer []byte) (dialect.Usage, bool) {
	raw := usage(answer)
	if len(raw) == 0 || raw[0] != '{' {
		return dialect.Usage{}, false
	}
	u := gjson.ParseBytes(raw)
	prompt, hasPrompt, ok := count(u, "prompt_tokens")
	completion, hasCompletion, ok2 := count(u, "completion_tokens")
	if !ok || !ok2 || !hasPrompt && !hasCompletion {
		return dialect.Usage{}, false
	}
	cached, hasCached, ok := count(u, "prompt_tokens_details.cached_tokens")
	if !hasCached || !ok {
		cached, _, _ = count(u, "prompt_cache_hit_tokens")
	}
	written, _, _ := count(u, "prompt_tokens_details.cache_write_tokens")
	reasoning, _, _ := count(u, "completion_tokens_details.reasoning_tokens")
	if total, has, ok := count(u, "total_tokens"); has && ok && total == prompt+completion+reasoning {
		completion += reasoning
	}
	cached = min(cached, prompt)
	written = min(written, prompt-cached)
	reasoning = min(reasoning, completion)
	return dialect.Usage{
		Input:      prompt - cached - written,
		CacheRead:  cached,
		CacheWrite: written,
		Output:     completion - reasoning,
		Reasoning:  reasoning,
	}, true
}

// count reads a count of tokens. has is false where there is none, ok where there is one that cannot be true,
// and the count is zero then.
func count(usage gjson.Result, path string) (n int64, has, ok bool) {
	r := usage.Get(path)
	switch {
	case !r.Exists() || r.Type == gjson.Null:
		return 0, false, true
	case r.Type != gjson.Number || !(r.Num >= 0 && r.Num <= maxUsage):
		return 0, true, false
	}
	return int64(r.Num), true, true
}

// usage finds the top-level member usage, as it is written.
func usage(answer []byte) []byte {
	if !bytes.Contains(answer, usageName) {
		return nil
	}
	for name, value := range dialect.Members(answer) {
		if string(name) == "usage" {
			return value
		}
	}
	return nil
}

// StripUsage takes the usage out of a chunk, for a client who did not ask for it. The chunk that is there for
// the usage alone, with no choices, is to be dropped as a whole. All other bytes stay as they are, and a chunk
// without usage is returned itself.
func StripUsage(data []byte) (out []byte, drop bool) {
	if !bytes.Contains(data, usageName) {
		return data, false
	}
	var used, counted bool
	chosen := false
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "usage":
			used, counted = true, value[0] == '{'
		case "choices":
			for range dialect.Elements(value) {
				chosen = true
				break
			}
		}
	}
	switch {
	case !used:
		return data, false
	case counted && !chosen:
		return nil, true
	}
	return dialect.Delete(data, "usage"), false
}

// UsageEdit is the edit that asks for the usage of a stream and leaves the request's other stream options.
func UsageEdit(body []byte) dialect.Edit {
	options := []byte(`{"include_usage":true}`)
	for name, value := range dialect.Members(body) {
		if string(name) == "stream_options" && value[0] == '{' {
			options = dialect.Set(value, "include_usage", []byte("true"))
		}
	}
	return dialect.Edit{Name: "stream_options", Value: options}
}

// WithUsage appends body to dst, changed so that it asks for the usage of a stream.
func WithUsage(dst, body []byte) []byte {
	return dialect.Splice(dst, body, UsageEdit(body))
}
