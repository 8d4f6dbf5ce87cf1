package responses

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// Kinds of event that say more than their text.
const (
	itemDone         = "response.output_item.done"
	answerCompleted  = "response.completed"
	answerIncomplete = "response.incomplete"
	answerFailed     = "response.failed"
)

// Event is what the gateway needs to know of a provider's event.
type Event struct {
	Kind dialect.Inside
	// Response is the answer as it stands, where the event tells it.
	Response dialect.Raw
}

// ReadEvent reads the data of an event.
func ReadEvent(data []byte) Event {
	var e Event
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "type":
			e.Kind = dialect.InsideOf(value)
		case "response":
			e.Response = value
		}
	}
	return e
}

// Ends tells whether no event comes after this one, and the answer is there.
func (e Event) Ends() bool {
	return string(e.Kind) == answerCompleted || string(e.Kind) == answerIncomplete
}

// Fails tells whether no event comes after this one, and there is no answer.
func (e Event) Fails() bool { return string(e.Kind) == answerFailed || string(e.Kind) == eventError }
