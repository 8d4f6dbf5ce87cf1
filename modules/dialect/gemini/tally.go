package gemini

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Tally reads along with a stream what the gateway has to know of it. It is used by one goroutine.
type Tally struct {
	usage        dialect.Usage
	begun, ended uint64 // candidates, a bit for each index; those behind the last bit share it
	blocked      bool
}

// Add takes in the data of one event, which must be valid JSON. It is false where that is an error.
func (t *Tally) Add(data []byte) bool {
	w := readResponse(data)
	if w.err != nil {
		return false
	}
	if usage, told := usageOf(w.usage); told {
		t.usage = usage
	}
	t.blocked = t.blocked || w.blockReason != ""
	for raw := range dialect.Elements(list(w.candidates)) {
		c := readCandidate(raw)
		n, _ := strconv.ParseUint(c.index, 10, 32) // no index is the first one's
		bit := uint64(1) << min(n, 63)
		t.begun |= bit
		if finishOf(c.reason) != dialect.FinishNone {
			t.ended |= bit
		}
	}
	return true
}

// Complete tells whether the answer is complete where no more events come: every candidate that began has said why it
// ended, or the prompt was blocked.
func (t *Tally) Complete() bool {
	return t.begun == t.ended && (t.begun != 0 || t.blocked)
}

// Usage is what the events told so far; zero where they told nothing.
func (t *Tally) Usage() dialect.Usage { return t.usage }
