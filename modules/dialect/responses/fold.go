package responses

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

var errFoldLimit = errors.New("folding a stream: the answer is larger than is kept")

// Fold takes the answer out of the events of a stream, of which the last one has all of it. It is used by one goroutine.
type Fold struct {
	limit  int
	items  int // that the events told
	answer []byte
	err    error
}

// NewFold makes a Fold that holds limit bytes at most.
func NewFold(limit int) *Fold { return &Fold{limit: limit} }

// Add adds the data of one event. The data may change afterwards. After an error, which can be the provider's own
// inside of the stream, there will be no answer.
func (f *Fold) Add(data []byte) error {
	if f.err == nil {
		f.err = f.add(data)
	}
	return f.err
}

func (f *Fold) add(data []byte) error {
	e := ReadEvent(data)
	switch {
	case string(e.Kind) == itemDone:
		f.items++
	case e.Fails():
		return errors.New("folding a stream: it holds an error")
	case e.Ends():
		if len(e.Response) > f.limit {
			return errFoldLimit
		}
		f.answer = bytes.Clone(e.Response)
	}
	return nil
}

// Answer is what the last event told; an error where it is not complete.
func (f *Fold) Answer() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	if err := Complete(f.answer); err != nil {
		return nil, fmt.Errorf("folding a stream: %w", err)
	}
	for name, value := range dialect.Members(f.answer) {
		if string(name) == "output" && f.items > 0 && string(value) == "[]" {
			return nil, errors.New("folding a stream: its last event has not all of it")
		}
	}
	return f.answer, nil
}
