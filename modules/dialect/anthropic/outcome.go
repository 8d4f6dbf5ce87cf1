package anthropic

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// ReadOutcome takes in a whole message, or one event of a stream after another.
func ReadOutcome(o *dialect.Outcome, data []byte) {
	readOutcome(o, data)
	for name, value := range dialect.Members(data) {
		if string(name) == "message" || string(name) == "delta" { // of message_start and message_delta
			readOutcome(o, value)
		}
	}
}

func readOutcome(o *dialect.Outcome, message []byte) {
	for name, value := range dialect.Members(message) {
		switch string(name) {
		case "model":
			if o.Model == "" {
				o.Model, _ = dialect.Text(value)
			}
		case "stop_reason":
			if reason, _ := dialect.Text(value); reason != "" {
				o.Reasons = append(o.Reasons[:0], reason)
			}
		}
	}
}
