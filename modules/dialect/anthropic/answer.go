package anthropic

import (
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Complete tells why a message is not fit to be kept and given to others; nil where it is: valid, without an
// error, and with a reason why it stopped that is not that it will go on.
func Complete(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	kind, reason, hasContent := "", "", false
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "content":
			hasContent = value[0] == '['
		case "stop_reason":
			reason, _ = dialect.Text(value)
		}
	}
	switch {
	case kind == "error":
		return errors.New("the answer holds an error")
	case kind != "message":
		return errors.New("the answer is no message")
	case !hasContent:
		return errors.New("the answer has no content")
	case reason == "":
		return errors.New("the answer has no stop_reason")
	case reason == "pause_turn":
		return errors.New("the answer pauses and is to go on")
	}
	return nil
}
