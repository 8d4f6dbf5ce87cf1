package responses

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// ReadOutcome takes in a whole answer, or one event of a stream after another. An answer ends with its status, or with
// why it is incomplete.
func ReadOutcome(o *dialect.Outcome, data []byte) {
	if e := ReadEvent(data); e.Response != nil {
		data = e.Response
	}
	reason := ""
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "model":
			if o.Model == "" {
				o.Model, _ = dialect.Text(value)
			}
		case "status":
			if status, _ := dialect.Text(value); status != inProgress && reason == "" {
				reason = status
			}
		case "incomplete_details":
			for name, value := range dialect.Members(value) {
				if string(name) == "reason" {
					reason, _ = dialect.Text(value)
				}
			}
		}
	}
	if reason != "" {
		o.Reasons = append(o.Reasons[:0], reason)
	}
}
