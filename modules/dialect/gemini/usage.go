package gemini

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// maxUsage is the largest count of tokens that one answer can have used. More is nonsense.
const maxUsage = 1 << 30

// UsageOf reads the usage of a whole answer, or so far of a stream from one of its events; false where there is
// none, or none that can be true.
func UsageOf(answer []byte) (dialect.Usage, bool) {
	for name, value := range fields(answer) {
		if string(name) == "usageMetadata" {
			return usageOf(value)
		}
	}
	return dialect.Usage{}, false
}

// usageOf reads a usageMetadata. Its prompt includes what the cache gave, but not the results of tools that Google
// ran, and its candidates do not include thoughts.
func usageOf(metadata []byte) (u dialect.Usage, told bool) {
	var prompt, tools int64
	for name, value := range dialect.Members(metadata) {
		n, ok := dialect.Raw(value).Number()
		if !ok || n < 0 || n > maxUsage {
			continue
		}
		switch string(camel(name)) {
		case "promptTokenCount":
			prompt, told = int64(n), true
		case "toolUsePromptTokenCount":
			tools = int64(n)
		case "cachedContentTokenCount":
			u.CacheRead = int64(n)
		case "candidatesTokenCount":
			u.Output, told = int64(n), true
		case "thoughtsTokenCount":
			u.Reasoning = int64(n)
		}
	}
	u.CacheRead = min(u.CacheRead, prompt)
	u.Input = prompt - u.CacheRead + tools
	return u, told
}

// SetUsage gives a whole answer that tells no usage the given one. An answer that has its own keeps it.
func SetUsage(answer []byte, u dialect.Usage) []byte {
	if _, told := UsageOf(answer); told {
		return answer
	}
	return dialect.Set(answer, "usageMetadata", AppendUsage(nil, u))
}

// AppendUsage writes a usage in Google's counts.
func AppendUsage(dst []byte, u dialect.Usage) []byte {
	dst = dialect.IntMember(append(dst, '{'), "promptTokenCount", u.InputTotal())
	dst = dialect.IntMember(dst, "candidatesTokenCount", u.Output)
	dst = dialect.IntMember(dst, "totalTokenCount", u.Total())
	if u.CacheRead > 0 {
		dst = dialect.IntMember(dst, "cachedContentTokenCount", u.CacheRead)
	}
	if u.Reasoning > 0 {
		dst = dialect.IntMember(dst, "thoughtsTokenCount", u.Reasoning)
	}
	return append(dst, '}')
}
