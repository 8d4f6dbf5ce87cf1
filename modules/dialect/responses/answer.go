package responses

import (
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Complete tells why an answer is not fit to be kept and given to others; nil where it is: valid, without an error, and
// ended, be it by a bound.
func Complete(answer []byte) error {
	if err := dialect.Check(answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	status, hasOutput := "", false
	for name, value := range dialect.Members(answer) {
		switch string(name) {
		case "error":
			if string(value) != "null" {
				return errors.New("the answer holds an error")
			}
		case "status":
			status, _ = dialect.Text(value)
		case "output":
			hasOutput = value[0] == '['
		}
	}
	switch {
	case status != completed && status != incomplete:
		return fmt.Errorf("the answer's status is %q", status)
	case !hasOutput:
		return errors.New("the answer has no output")
	}
	return nil
}
