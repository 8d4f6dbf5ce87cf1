package openai

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// SetUsage gives a whole answer that tells no usage the given one, in OpenAI's counts. An answer that has its own keeps it.
func SetUsage(answer []byte, u dialect.Usage) []byte {
	if _, told := UsageOf(answer); told {
		return answer
	}
	return dialect.Set(answer, "usage", AppendUsage(nil, u))
}

// AppendUsage writes a usage in OpenAI's counts, whose prompt_tokens include the cached ones and whose
// completion_tokens include those spent on reasoning.
func AppendUsage(dst []byte, u dialect.Usage) []byte {
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), u.InputTotal(), 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.OutputTotal(), 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), u.Total(), 10)
	if u.CacheRead > 0 || u.CacheWrite > 0 {
		dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
		if u.CacheWrite > 0 {
			dst = dialect.IntMember(dst, "cache_write_tokens", u.CacheWrite)
		}
		dst = append(dst, '}')
	}
	if u.Reasoning > 0 {
		dst = strconv.AppendInt(append(dst, `,"completion_tokens_details":{"reasoning_tokens":`...), u.Reasoning, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendUsageEvent writes the event that tells a stream's usage, with the id, time and model of one of the stream's chunks.
func AppendUsageEvent(dst, chunk []byte, u dialect.Usage) []byte {
	dst = append(dst, "data: {"...)
	for name, value := range dialect.Members(chunk) {
		switch string(name) {
		case "id", "object", "created", "model", "system_fingerprint", "service_tier":
			dst = append(append(append(append(append(dst, '"'), name...), `":`...), value...), ',')
		}
	}
	return append(AppendUsage(append(dst, `"choices":[],"usage":`...), u), "}\n\n"...)
}
