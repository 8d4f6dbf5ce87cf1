package openai

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds on what a provider can make a Fold hold.
const (
	maxChoiceIndex = 128
	maxCallIndex   = 256
	entrySize      = 64 // bytes that a member, a choice or a call counts for beside its text
)

var errFoldLimit = errors.New("folding a stream: the answer is larger than is kept")

// Fold makes one chat completion of the chunks of a stream. It is used by one goroutine.
type Fold struct {
	limit, size int
	err         error
	top         dialect.Growing // without object, choices and usage
	usage       dialect.Growing // usage alone, so that it comes last
	choices     []*choice
}

// choice is one choice in progress.
type choice struct {
	index    int
	message  dialect.Growing // without tool_calls and function_call
	calls    []*call
	function dialect.Growing // of function_call
	logprobs dialect.Growing
	// noLogprobs is whether logprobs came as null, which a whole answer then says too.
	noLogprobs bool
	rest       dialect.Growing // finish_reason, and what we do not know
}

// call is one tool call in progress.
type call struct {
	index    int
	parts    dialect.Growing // without index and function
	function dialect.Growing
}

// NewFold makes a Fold that holds about limit bytes at most.
func NewFold(limit int) *Fold { return &Fold{limit: limit} }

// Add adds the data of one event. The data may change afterwards. After an error, which can be the provider's
// own inside of the stream, there will be no answer.
func (f *Fold) Add(data []byte) error {
	if f.err == nil && string(data) != "[DONE]" {
		f.err = f.add(data)
		if f.err == nil && f.size > f.limit {
			f.err = errFoldLimit
		}
		if f.err != nil {
			f.top, f.usage, f.choices = dialect.Growing{}, dialect.Growing{}, nil
		}
	}
	return f.err
}

func (f *Fold) add(data []byte) error {
	if len(data) > f.limit {
		return errFoldLimit
	}
	if err := dialect.Check(data); err != nil {
		return fmt.Errorf("folding a stream: %w", err)
	}
	for name, value := range dialect.Members(data) {
		switch string(name) {
		case "object", "obfuscation": // the latter is padding against eavesdroppers, new with every chunk
		case "error":
			if string(value) != "null" {
				return errors.New("folding a stream: it holds an error")
			}
		case "usage":
			if string(value) != "null" {
				f.size += f.usage.Set(name, value)
			}
		case "choices":
			for element := range dialect.Elements(value) {
				if err := f.choice(element); err != nil {
					return err
				}
			}
		default:
			f.size += f.top.Set(name, value)
		}
	}
	return nil
}

func (f *Fold) choice(chunk []byte) error {
	index, _, err := indexOf(chunk, maxChoiceIndex)
	if err != nil {
		return err
	}
	c := f.choiceAt(index)
	for name, value := range dialect.Members(chunk) {
		switch string(name) {
		case "index", "message":
		case "delta":
			if err := f.delta(c, value); err != nil {
				return err
			}
		case "logprobs":
			c.noLogprobs = c.noLogprobs || string(value) == "null"
			for list, items := range dialect.Members(value) {
				f.size += c.logprobs.Extend(list, items)
			}
		default:
			f.size += c.rest.Set(name, value)
		}
	}
	return nil
}

func (f *Fold) delta(c *choice, delta []byte) error {
	for name, value := range dialect.Members(delta) {
		switch string(name) {
		case "role":
			if string(value) != "null" {
				f.size += c.message.Set(name, value)
			}
		case "tool_calls":
			for element := range dialect.Elements(value) {
				if err := f.toolCall(c, element); err != nil {
					return err
				}
			}
		case "function_call":
			f.function(&c.function, value)
		default:
			if value[0] == '[' { // such as annotations
				f.size += c.message.Extend(name, value)
			} else {
				f.size += c.message.Join(name, value)
			}
		}
	}
	return nil
}

func (f *Fold) toolCall(c *choice, fragment []byte) error {
	index, has, err := indexOf(fragment, maxCallIndex)
	if err != nil {
		return err
	}
	if !has {
		if index, err = implied(c, fragment); err != nil {
			return err
		}
	}
	call := f.callAt(c, index)
	for name, value := range dialect.Members(fragment) {
		switch string(name) {
		case "index":
		case "function":
			f.function(&call.function, value)
		case "id", "type":
			// Some servers repeat these as empty strings.
			if string(value) != `""` || !call.parts.Has(string(name)) {
				f.size += call.parts.Set(name, value)
			}
		default:
			f.size += call.parts.Set(name, value)
		}
	}
	return nil
}

// function adds a fragment of a function's name and arguments. Some servers repeat the whole name.
func (f *Fold) function(g *dialect.Growing, fragment []byte) {
	for name, value := range dialect.Members(fragment) {
		switch string(name) {
		case "name":
			if g.Holds("name", value) {
				continue
			}
			f.size += g.Join(name, value)
		case "arguments":
			f.size += g.Join(name, value)
		default:
			f.size += g.Set(name, value)
		}
	}
}

// implied is the index of a tool call's fragment that has none, as from servers that send calls whole: a new
// call where it has an id of its own, else the last one.
func implied(c *choice, fragment []byte) (int, error) {
	last := len(c.calls) - 1
	if last < 0 {
		return 0, nil
	}
	for name, value := range dialect.Members(fragment) {
		if string(name) != "id" || value[0] != '"' || len(value) == 2 {
			continue
		}
		for _, call := range c.calls {
			if call.parts.Holds("id", value) {
				return call.index, nil
			}
		}
		if c.calls[last].index+1 == maxCallIndex {
			return 0, errors.New("folding a stream: too many tool calls")
		}
		return c.calls[last].index + 1, nil
	}
	return c.calls[last].index, nil
}

// indexOf reads the member index; zero where there is none.
func indexOf(object []byte, limit int) (index int, has bool, err error) {
	for name, value := range dialect.Members(object) {
		if string(name) != "index" || string(value) == "null" {
			continue
		}
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 0 || n >= limit {
			return 0, true, errors.New("folding a stream: an index is out of bounds")
		}
		return n, true, nil
	}
	return 0, false, nil
}

// choiceAt finds or makes the choice of an index, in the order of indices.
func (f *Fold) choiceAt(index int) *choice {
	at := len(f.choices)
	for at > 0 && f.choices[at-1].index >= index {
		at--
	}
	if at < len(f.choices) && f.choices[at].index == index {
		return f.choices[at]
	}
	f.size += entrySize
	f.choices = append(f.choices, nil)
	copy(f.choices[at+1:], f.choices[at:])
	f.choices[at] = &choice{index: index}
	return f.choices[at]
}

// callAt finds or makes the tool call of an index, in the order of indices.
func (f *Fold) callAt(c *choice, index int) *call {
	at := len(c.calls)
	for at > 0 && c.calls[at-1].index >= index {
		at--
	}
	if at < len(c.calls) && c.calls[at].index == index {
		return c.calls[at]
	}
	f.size += entrySize
	c.calls = append(c.calls, nil)
	copy(c.calls[at+1:], c.calls[at:])
	c.calls[at] = &call{index: index}
	return c.calls[at]
}
