package openai

import (
	"fmt"
	"strconv"
)

// Answer is the chat completion that the chunks made; an error where it is not complete.
func (f *Fold) Answer() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	dst := make([]byte, 0, f.size+256)
	dst = append(dst, `{"object":"chat.completion"`...)
	dst = f.top.append(dst)
	dst = append(dst, `,"choices":[`...)
	for i, c := range f.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.append(dst)
	}
	dst = append(dst, ']')
	dst = f.usage.append(dst)
	dst = append(dst, '}')
	if err := Complete(dst); err != nil {
		return nil, fmt.Errorf("folding a stream: %w", err)
	}
	return dst, nil
}

func (c *choice) append(dst []byte) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(c.index), 10)
	dst = append(dst, `,"message":`...)
	begin := len(dst)
	if c.message.find("role") == nil {
		dst = append(dst, `,"role":"assistant"`...)
	}
	dst = c.message.append(dst)
	if c.message.find("content") == nil {
		dst = append(dst, `,"content":null`...)
	}
	dst[begin] = '{' // in place of the first comma
	if len(c.calls) > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for i, call := range c.calls {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = call.append(dst)
		}
		dst = append(dst, ']')
	}
	if len(c.function) > 0 {
		dst = append(dst, `,"function_call":`...)
		dst = appendObject(dst, c.function)
	}
	dst = append(dst, '}')
	switch {
	case len(c.logprobs) > 0:
		dst = append(dst, `,"logprobs":`...)
		dst = appendObject(dst, c.logprobs)
	case c.noLogprobs:
		dst = append(dst, `,"logprobs":null`...)
	}
	dst = c.rest.append(dst)
	return append(dst, '}')
}

func (c *call) append(dst []byte) []byte {
	if len(c.function) == 0 {
		return appendObject(dst, c.parts)
	}
	begin := len(dst)
	dst = c.parts.append(dst)
	dst = append(dst, `,"function":`...)
	dst = appendObject(dst, c.function)
	dst[begin] = '{'
	return append(dst, '}')
}

// appendObject appends an object of the members.
func appendObject(dst []byte, ps parts) []byte {
	if len(ps) == 0 {
		return append(dst, "{}"...)
	}
	begin := len(dst)
	dst = ps.append(dst)
	dst[begin] = '{' // in place of the first comma
	return append(dst, '}')
}
