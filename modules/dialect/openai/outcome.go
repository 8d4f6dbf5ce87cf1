package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// ReadOutcome takes in a whole answer, or one event of a stream after another.
func ReadOutcome(o *dialect.Outcome, data []byte) {
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "model":
			if o.Model == "" {
				o.Model, _ = dialect.Text(value)
			}
		case "choices":
			for choice := range dialect.Elements(value) {
				readChoice(o, choice)
			}
		}
	}
}

func readChoice(o *dialect.Outcome, choice []byte) {
	reason := ""
	for name, value := range dialect.Members(choice) {
		if string(name) == "finish_reason" {
			reason, _ = dialect.Text(value)
		}
	}
	if reason == "" {
		return
	}
	index, _, err := indexOf(choice, maxChoiceIndex)
	if err != nil {
		return
	}
	for len(o.Reasons) <= index {
		o.Reasons = append(o.Reasons, "")
	}
	o.Reasons[index] = reason
}
