package demo

import (
	"strconv"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// completion is an answer that is ready to be sent, whole or in events.
type completion struct {
	seed    uint64 // names the answer
	created int64  // Unix seconds
	choices []choice
	input   int64 // tokens
	output  int64 // tokens
}

// choice is one of a completion's alternatives.
type choice struct {
	text   string // the content, or the arguments where a tool is called
	tool   string // the function called; "" for content
	finish string // why the choice ends
	tokens int64
}

func (c *completion) usage() dialect.Usage {
	return dialect.Usage{Input: c.input, Output: c.output}
}

// complete makes up the answer.
func (p *Provider) complete(req *chatRequest) (*completion, error) {
	called, err := req.chooseTool()
	if err != nil {
		return nil, err
	}
	c := &completion{
		seed:    req.seed,
		created: p.now().Unix(),
		choices: make([]choice, req.choices),
		input:   req.promptTokens,
	}
	for i := range c.choices {
		if called != nil {
			err = req.callTool(&c.choices[i], called)
		} else {
			err = req.say(&c.choices[i], p.Words, req.seed+uint64(i))
		}
		if err != nil {
			return nil, err
		}
		c.output += c.choices[i].tokens
	}
	return c, nil
}

// callTool answers with the arguments for a function.
func (req *chatRequest) callTool(c *choice, called *tool) error {
	c.text, c.tool, c.finish = "{}", called.name, "tool_calls"
	if given(called.parameters) {
		arguments, err := instance(called.parameters, req.said, req.seed)
		if err != nil {
			return invalid("tools", "making arguments for the function %s: %v", called.name, err)
		}
		c.text = string(arguments)
	}
	nameTokens := countTokens(called.name)
	if req.maxTokens >= 0 && nameTokens > req.maxTokens {
		*c = choice{finish: "length"} // not even the name fits
		return nil
	}
	c.limit(req.maxTokens, nameTokens)
	return nil
}

// say answers with content.
func (req *chatRequest) say(c *choice, words int, seed uint64) error {
	text, err := req.content(words, seed)
	if err != nil {
		return err
	}
	c.text, c.finish = text, "stop"
	for _, stop := range req.stops {
		c.text, _, _ = strings.Cut(c.text, stop)
	}
	c.limit(req.maxTokens, 0)
	return nil
}

// limit counts the choice's tokens, of which some are spent already, and cuts its text where there are too many.
func (c *choice) limit(limit, spent int64) {
	if limit < 0 {
		c.tokens = spent + countTokens(c.text)
		return
	}
	cut, n := cutTokens(c.text, limit-spent)
	if len(cut) < len(c.text) {
		c.text, c.finish = cut, "length"
	}
	c.tokens = spent + n
}

// content is the text of an answer, in the format that was asked for.
func (req *chatRequest) content(words int, seed uint64) (string, error) {
	switch format := req.format.Get("type").Str; format {
	case "json_schema":
		schema := req.format.Get("json_schema.schema")
		if !given(schema) {
			return "", invalid("response_format.json_schema.schema", "a response format of type json_schema needs a schema")
		}
		made, err := instance(schema, req.said, seed)
		if err == nil && req.maxTokens >= 0 && countTokens(string(made)) > req.maxTokens {
			made, err = briefInstance(schema, req.said, seed)
		}
		if err != nil {
			return "", invalid("response_format.json_schema.schema", "making an instance of the schema: %v", err)
		}
		return string(made), nil
	case "json_object":
		text := appendText(make([]byte, 0, 256), words, "You said", req.said, seed)
		dst := make([]byte, 0, len(text)+32)
		dst = append(dst, `{"demo": true, "answer": `...)
		dst = dialect.String(dst, string(text))
		return string(append(dst, '}')), nil
	case "", "text":
		lead, said := "You said", req.said
		if req.afterTool {
			lead, said = "The tool said", req.toolSaid
		}
		return string(appendText(make([]byte, 0, 256), words, lead, said, seed)), nil
	default:
		return "", invalid("response_format.type", "response_format must be of type text, json_object or json_schema, not %q", format)
	}
}

// appendWhole writes the answer as one chat.completion object.
func (c *completion) appendWhole(dst []byte) []byte {
	if dst == nil {
		size := 512
		for i := range c.choices {
			size += 192 + len(c.choices[i].text)*9/8
		}
		dst = make([]byte, 0, size)
	}
	dst = append(dst, '{')
	dst = c.appendIdentity(dst, "chat.completion")
	dst = append(dst, `,"choices":[`...)
	for i := range c.choices {
		choice := &c.choices[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"message":{"role":"assistant","content":`...)
		if choice.tool == "" {
			dst = dialect.String(dst, choice.text)
			dst = append(dst, `,"refusal":null}`...)
		} else {
			dst = append(dst, `null,"refusal":null,"tool_calls":[{`...)
			dst = c.appendCall(dst, i, choice.text)
			dst = append(dst, `}]}`...)
		}
		dst = append(dst, `,"logprobs":null,"finish_reason":"`...)
		dst = append(dst, choice.finish...)
		dst = append(dst, `"}`...)
	}
	dst = append(dst, `],"usage":`...)
	dst = c.appendUsage(dst)
	return append(dst, '}')
}

// appendIdentity writes the fields that an answer and all of its events have in common.
func (c *completion) appendIdentity(dst []byte, object string) []byte {
	dst = append(dst, `"id":"chatcmpl-demo-`...)
	dst = appendDigits(dst, c.seed)
	dst = append(dst, `","object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, c.created, 10)
	return append(dst, `,"model":"`+chatModel+`","system_fingerprint":"fp_demo"`...)
}

// appendCall writes the fields of the i-th choice's tool call.
func (c *completion) appendCall(dst []byte, i int, arguments string) []byte {
	dst = append(dst, `"id":"call_demo_`...)
	dst = appendDigits(dst, c.seed+uint64(i))
	dst = append(dst, `","type":"function","function":{"name":`...)
	dst = dialect.String(dst, c.choices[i].tool)
	dst = append(dst, `,"arguments":`...)
	dst = dialect.String(dst, arguments)
	return append(dst, '}')
}

func (c *completion) appendUsage(dst []byte) []byte {
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, c.input, 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, c.output, 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, c.input+c.output, 10)
	return append(dst, '}')
}

// appendDigits writes twelve hexadecimal digits of a hash.
func appendDigits(dst []byte, hash uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 44; shift >= 0; shift -= 4 {
		dst = append(dst, digits[hash>>shift&0xf])
	}
	return dst
}
