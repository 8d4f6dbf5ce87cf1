package responses

import (
	"bytes"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// maxUsage is the largest count of tokens that one answer can have used. More is nonsense.
const maxUsage = 1 << 30

var usageName = []byte(`"usage"`)

// UsageOf reads the usage of a whole answer; false where it has none, or none that can be true. Cached tokens are part
// of input_tokens, those of thoughts part of output_tokens.
func UsageOf(answer []byte) (dialect.Usage, bool) {
	if !bytes.Contains(answer, usageName) {
		return dialect.Usage{}, false
	}
	usage := gjson.GetBytes(answer, "usage")
	input, okInput := count(usage, "input_tokens")
	output, okOutput := count(usage, "output_tokens")
	if !okInput || !okOutput {
		return dialect.Usage{}, false
	}
	cached, _ := count(usage, "input_tokens_details.cached_tokens")
	written, _ := count(usage, "input_tokens_details.cache_write_tokens")
	reasoning, _ := count(usage, "output_tokens_details.reasoning_tokens")
	cached = min(cached, input)
	written = min(written, input-cached)
	reasoning = min(reasoning, output)
	return dialect.Usage{Input: input - cached - written, CacheRead: cached, CacheWrite: written, Output: output - reasoning, Reasoning: reasoning}, true
}

// count reads a count of tokens; false where there is none that can be true.
func count(usage gjson.Result, path string) (int64, bool) {
	r := usage.Get(path)
	if r.Type != gjson.Number || !(r.Num >= 0 && r.Num <= maxUsage) {
		return 0, false
	}
	return int64(r.Num), true
}

// AppendUsage writes a usage in the API's counts.
func AppendUsage(dst []byte, u dialect.Usage) []byte {
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), u.InputTotal(), 10)
	dst = strconv.AppendInt(append(dst, `,"input_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.CacheWrite, 10)
	dst = strconv.AppendInt(append(dst, `},"output_tokens":`...), u.OutputTotal(), 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), u.Reasoning, 10)
	dst = strconv.AppendInt(append(dst, `},"total_tokens":`...), u.Total(), 10)
	return append(dst, '}')
}

// SetUsage gives a whole answer that tells no usage the given one. An answer that has its own keeps it.
func SetUsage(answer []byte, u dialect.Usage) []byte {
	if _, told := UsageOf(answer); told {
		return answer
	}
	return dialect.Set(answer, "usage", AppendUsage(nil, u))
}
