package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// maxUsage is the largest count of tokens that one answer can have used. More is nonsense.
const maxUsage = 1 << 30

// UsageOf reads the usage of a whole answer; false where it has none, or none that can be true.
func UsageOf(answer []byte) (dialect.Usage, bool) {
	var c counts
	for name, value := range dialect.Members(answer) {
		if string(name) == "usage" {
			c.add(value)
		}
	}
	return c.usage()
}

// Tally reads along with a stream what the gateway has to know of it. It is used by one goroutine.
type Tally struct{ counts counts }

// Add takes in the data of one event, which must be valid JSON, and gives its type.
func (t *Tally) Add(data []byte) (kind dialect.Inside) {
	e := readEvent(data)
	switch string(e.kind) {
	case "message_start":
		for name, value := range dialect.Members(e.message) {
			if string(name) == "usage" {
				t.counts.add(value)
			}
		}
	case "message_delta":
		t.counts.add(e.usage)
	}
	return e.kind
}

// Usage is what the events told so far; zero where they told nothing.
func (t *Tally) Usage() dialect.Usage {
	usage, _ := t.counts.usage()
	return usage
}

// counts is a usage as Anthropic counts it: input without what the prompt cache gave or took, output with the
// thoughts. Those of a stream are for all of it so far, and one that is told again replaces the former.
type counts struct {
	told                         bool
	input, cacheRead, cacheWrite int64
	output, thinking             int64
}

func (c *counts) add(usage []byte) {
	for name, value := range dialect.Members(usage) {
		switch string(name) {
		case "input_tokens":
			c.count(&c.input, value)
		case "output_tokens":
			c.count(&c.output, value)
		case "cache_read_input_tokens":
			c.count(&c.cacheRead, value)
		case "cache_creation_input_tokens":
			c.count(&c.cacheWrite, value)
		case "output_tokens_details":
			for name, value := range dialect.Members(value) {
				if string(name) == "thinking_tokens" {
					c.count(&c.thinking, value)
				}
			}
		}
	}
}

func (c *counts) count(dst *int64, value []byte) {
	if n, ok := dialect.Raw(value).Number(); ok && n >= 0 && n <= maxUsage {
		*dst, c.told = int64(n), true
	}
}

func (c *counts) usage() (dialect.Usage, bool) {
	thinking := min(c.thinking, c.output)
	return dialect.Usage{
		Input:      c.input,
		CacheRead:  c.cacheRead,
		CacheWrite: c.cacheWrite,
		Output:     c.output - thinking,
		Reasoning:  thinking,
	}, c.told
}

// SetUsage gives a whole answer that tells no usage the given one, in Anthropic's counts. An answer that has its own keeps it.
func SetUsage(answer []byte, u dialect.Usage) []byte {
	if _, told := UsageOf(answer); told {
		return answer
	}
	return dialect.Set(answer, "usage", AppendUsage(nil, u))
}

// AppendUsage writes a usage in Anthropic's counts.
func AppendUsage(dst []byte, u dialect.Usage) []byte {
	dst = dialect.IntMember(append(dst, '{'), "input_tokens", u.Input)
	dst = dialect.IntMember(dst, "cache_creation_input_tokens", u.CacheWrite)
	dst = dialect.IntMember(dst, "cache_read_input_tokens", u.CacheRead)
	dst = dialect.IntMember(dst, "output_tokens", u.OutputTotal())
	if u.Reasoning > 0 {
		dst = append(dialect.Member(dst, "output_tokens_details"), '{')
		dst = append(dialect.IntMember(dst, "thinking_tokens", u.Reasoning), '}')
	}
	return append(dst, '}')
}
