package openai

import (
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Complete tells why a chat completion is not fit to be kept and given to others; nil where it is: valid,
// without an error, and with every choice finished.
func Complete(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	choices := 0
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "error":
			if string(value) != "null" {
				return errors.New("the answer holds an error")
			}
		case "choices":
			for choice := range dialect.Elements(value) {
				if err := finished(choice); err != nil {
					return fmt.Errorf("choice %d: %w", choices, err)
				}
				choices++
			}
		}
	}
	if choices == 0 {
		return errors.New("the answer has no choice")
	}
	return nil
}

// finished tells why a choice is not whole.
func finished(choice []byte) error {
	reason, hasMessage := "", false
	for name, value := range dialect.Members(choice) {
		switch string(name) {
		case "finish_reason":
			reason, _ = dialect.Text(value)
		case "message":
			hasMessage = value[0] == '{'
		}
	}
	switch {
	case reason == "":
		return errors.New("it has no finish_reason")
	case reason == "error":
		return errors.New("it ended in an error")
	case !hasMessage:
		return errors.New("it has no message")
	}
	return nil
}
