package openai

import (
	"bytes"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// maxUsage is the largest count of tokens that one answer can have used. More is nonsense.
const maxUsage = 1 << 30

// usageName is in each text that has such a member. It does not begin with a quote, since JSON is full of them and a search stops at each.
var usageName = []byte(`usage"`)

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
	var prompt, completion, total, cached, hit, written, reasoning tokens
	for name, value := range dialect.Members(raw) {
		switch string(name) {
		case "prompt_tokens":
			prompt.read(value)
		case "completion_tokens":
			completion.read(value)
		case "total_tokens":
			total.read(value)
		case "prompt_cache_hit_tokens":
			hit.read(value)
		case "prompt_tokens_details":
			for name, value := range dialect.Members(value) {
				switch string(name) {
				case "cached_tokens":
					cached.read(value)
				case "cache_write_tokens":
					written.read(value)
				}
			}
		case "completion_tokens_details":
			for name, value := range dialect.Members(value) {
				if string(name) == "reasoning_tokens" {
					reasoning.read(value)
				}
			}
		}
	}
	if prompt.absurd || completion.absurd || !prompt.told && !completion.told {
		return dialect.Usage{}, false
	}
	if !cached.told || cached.absurd {
		cached = hit
	}
	if total.told && !total.absurd && total.n == prompt.n+completion.n+reasoning.n {
		completion.n += reasoning.n
	}
	u := dialect.Usage{CacheRead: min(cached.n, prompt.n), Reasoning: min(reasoning.n, completion.n)}
	u.CacheWrite = min(written.n, prompt.n-u.CacheRead)
	u.Input = prompt.n - u.CacheRead - u.CacheWrite
	u.Output = completion.n - u.Reasoning
	return u, true
}

// tokens is a count of tokens.
type tokens struct {
	n      int64 // zero where there is none that can be true
	told   bool
	absurd bool
}

// read takes a count as JSON has it. The first one of a name holds.
func (t *tokens) read(value dialect.Raw) {
	if t.told || value.Null() {
		return
	}
	t.told = true
	n, ok := value.Number()
	if t.absurd = !ok || !(n >= 0 && n <= maxUsage); !t.absurd {
		t.n = int64(n)
	}
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
// without usage is returned itself; one that is changed is written to buf.
func StripUsage(buf, data []byte) (out []byte, drop bool) {
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
	return dialect.Splice(buf[:0], data, dialect.Edit{Name: "usage"}), false
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
