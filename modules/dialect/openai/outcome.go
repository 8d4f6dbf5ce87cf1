package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// Outcome is what an answer tells of itself beside its text.
type Outcome struct {
	// Model is the model that made it, by the provider's word.
	Model string
	// Reasons are why its choices ended, in the order of their indices.
	Reasons []string
}

// Read takes in a whole answer, or one event of a stream after another.
func (o *Outcome) Read(data []byte) {
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "model":
			if o.Model == "" {
				o.Model, _ = dialect.Text(value)
			}
		case "choices":
			for choice := range dialect.Elements(value) {
				o.choice(choice)
			}
		}
	}
}

func (o *Outcome) choice(choice []byte) {
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
