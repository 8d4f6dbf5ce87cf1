package gemini

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// ReadOutcome takes in a whole response, or one event of a stream after another.
func ReadOutcome(o *dialect.Outcome, data []byte) {
	w := readResponse(data)
	if o.Model == "" {
		o.Model, _ = dialect.Text(w.model)
	}
	if w.blockReason != "" && len(o.Reasons) == 0 {
		o.Reasons = append(o.Reasons, w.blockReason)
	}
	for raw := range dialect.Elements(list(w.candidates)) {
		c := readCandidate(raw)
		n, _ := strconv.ParseUint(c.index, 10, 32) // no index is the first one's
		if c.reason == "" || n >= maxCandidates {
			continue
		}
		for len(o.Reasons) <= int(n) {
			o.Reasons = append(o.Reasons, "")
		}
		o.Reasons[n] = c.reason
	}
}
