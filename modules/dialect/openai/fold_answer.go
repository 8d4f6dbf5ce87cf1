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
	dst = f.top.Append(dst)
	dst = append(dst, `,"choices":[`...)
	for i, c := range f.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.append(dst)
	}
	dst = append(dst, ']')
	dst = f.usage.Append(dst)
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
	if !c.message.Has("role") {
		dst = append(dst, `,"role":"assistant"`...)
	}
	dst = c.message.Append(dst)
	if !c.message.Has("content") {
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
	if c.function.Len() > 0 {
		dst = append(dst, `,"function_call":`...)
		dst = c.function.AppendObject(dst)
	}
	dst = append(dst, '}')
	switch {
	case c.logprobs.Len() > 0:
		dst = append(dst, `,"logprobs":`...)
		dst = c.logprobs.AppendObject(dst)
	case c.noLogprobs:
		dst = append(dst, `,"logprobs":null`...)
	}
	dst = c.rest.Append(dst)
	return append(dst, '}')
}

func (c *call) append(dst []byte) []byte {
	if c.function.Len() == 0 {
		return c.parts.AppendObject(dst)
	}
	begin := len(dst)
	dst = c.parts.Append(dst)
	dst = append(dst, `,"function":`...)
	dst = c.function.AppendObject(dst)
	dst[begin] = '{'
	return append(dst, '}')
}
